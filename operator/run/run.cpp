#include "operator/run/run.hpp"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>

#include <openssl/rand.h>
#include <spdlog/spdlog.h>

#include "base/clock.hpp"
#include "base/encoding.hpp"
#include "base/version.hpp"
#include "operator/admission/endpoint.hpp"
#include "operator/kube/configuration.hpp"
#include "operator/kube/leader_election.hpp"
#include "operator/reconcile/controllers.hpp"
#include "operator/reconcile/counting_client.hpp"
#include "operator/run/endpoints.hpp"

namespace cistern::run {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr unsigned kOldestMinor = 30;
constexpr seconds kStopLimit{12};  // below a pod's usual grace period
constexpr milliseconds kDrainLimit{500};
constexpr seconds kWebhookLinger{2};
constexpr milliseconds kGiveBack{30000};
constexpr milliseconds kLookForSync{500};
constexpr seconds kElectionCall{4};  // below half of the renew deadline, so that one call that hangs does not lose the Lease

std::string random_identity() {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  std::array<std::uint8_t, 4> bytes{};
  RAND_bytes(bytes.data(), static_cast<int>(bytes.size()));
  return fmt::format("{}_{}", host.data(), to_hex(bytes));
}

// Threads wait for the network most of the time; an arena for each would keep what the others could use.
void save_memory() {
  ::mallopt(M_ARENA_MAX, 2);
  ::mallopt(M_TRIM_THRESHOLD, 1 << 20);
}

// Waits for a signal on a thread of its own, then asks for a stop. What hangs longer than the limit is not waited for.
class Signals {
 public:
  explicit Signals(std::stop_source& stop) : stop_(stop) {
    ::sigemptyset(&set_);
    for (const int signal : {SIGTERM, SIGINT}) ::sigaddset(&set_, signal);
    ::pthread_sigmask(SIG_BLOCK, &set_, nullptr);
    thread_ = std::jthread([this](const std::stop_token& ended) { wait(ended); });
  }

 private:
  void wait(const std::stop_token& ended) {
    const timespec tick{0, 100'000'000};
    SteadyTime asked = SteadyTime::max();
    while (!ended.stop_requested()) {
      const int signal = ::sigtimedwait(&set_, nullptr, &tick);
      if (signal > 0 && asked == SteadyTime::max()) {
        spdlog::info("ending: signal=\"{}\"", ::strsignal(signal));
        asked = clock_.steady();
        stop_.request_stop();
      } else if (signal > 0 || (asked != SteadyTime::max() && clock_.steady() - asked > kStopLimit)) {
        spdlog::warn("ending at once: what was under way did not end in time, the Lease runs out by itself");
        spdlog::default_logger()->flush();
        ::_exit(1);
      }
    }
  }

  SystemClock clock_;
  std::stop_source& stop_;
  sigset_t set_{};
  std::jthread thread_;
};

Result<unsigned> supported_minor(kube::Client& client) {
  const auto version = client.server_version();
  if (!version) return fail(version.error());
  if (*version < kube::Version{1, kOldestMinor}) {
    return fail(ErrorCode::kInvalid, "the API server is Kubernetes {}.{}; Cistern needs 1.{} or newer", version->major, version->minor,
                kOldestMinor);
  }
  return version->minor;
}

// What a list or a storm of changes took for a moment goes back to the kernel.
void give_back_memory(const reconcile::Controllers& controllers, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  bool synced = false;
  while (!wake.wait_for(lock, stop, synced ? kGiveBack : kLookForSync, [&] { return stop.stop_requested(); })) {
    synced = synced || controllers.has_synced();
    if (synced) ::malloc_trim(0);
  }
}

// Bound, not started; null where the webhook is off. `options` then lead to it.
Result<std::unique_ptr<http::Server>> open_webhook(admission::Endpoint& reviews, const Settings& settings,
                                                   reconcile::WebhookOptions& options) {
  if (settings.webhook.empty()) return nullptr;
  auto opened = admission::open_server(reviews, settings.webhook);
  if (!opened) return fail(opened.error().in("--webhook"));
  options.enabled = true;
  options.external_certificates = settings.webhook_certificates == "external";
  options.use_rules = [&reviews](std::shared_ptr<const admission::Rules> rules) { reviews.use(std::move(rules)); };
  options.use_certificate = [server = opened->get()](const std::string& cert, const std::string& key) {
    return server->use_certificate(0, cert, key);
  };
  return opened;
}

}  // namespace

Result<void> run(Settings settings) {
  save_memory();
  std::stop_source stop;
  const Signals signals(stop);
  const SystemClock clock;
  if (settings.identity.empty()) settings.identity = random_identity();

  const auto configuration = kube::find_configuration(settings.kubeconfig);
  if (!configuration) return fail(configuration.error());
  kube::ClientOptions client_options;
  client_options.user_agent = fmt::format("cistern-operator/{}", kVersion);
  const auto client = kube::make_client(*configuration, client_options);
  if (!client) return fail(client.error());
  client_options.timeout = kElectionCall;
  const auto election_client = kube::make_client(*configuration, client_options);
  if (!election_client) return fail(election_client.error());
  const auto minor = supported_minor(**client);
  if (!minor) return fail(minor.error());
  settings.installation.kubernetes_minor = *minor;

  reconcile::Metrics metrics(kVersion);
  reconcile::CountingClient counting(**client, metrics);
  reconcile::CountingClient counting_election(**election_client, metrics);
  const auto events = kube::make_event_recorder(counting, clock, {.instance = settings.identity, .ns = "default"});
  const auto probe = reconcile::make_agent_probe();
  reconcile::ControllersOptions options;
  options.policy.cleanup_limit = settings.cleanup_limit;
  options.policy.silence = settings.heartbeat_limit;
  options.resync = settings.resync;
  options.namespace_pod_security = settings.namespace_pod_security;
  admission::Endpoint reviews(
      [&](unsigned code, std::chrono::microseconds took) { metrics.reviewed(admission::kWebhookPath, code, took); });
  auto webhook = open_webhook(reviews, settings, options.webhook);
  if (!webhook) return fail(webhook.error());
  reconcile::Controllers controllers(counting, clock, *events, metrics, *probe, settings.installation, options);

  const Endpoints endpoints(metrics, controllers, clock, options.webhook.enabled);
  auto server = open_server(endpoints, settings.metrics, settings.health);
  if (!server) return fail(server.error());
  (*server)->start();
  if (*webhook) (*webhook)->start();
  metrics.leader(settings.lease, false);
  controllers.start();
  const std::jthread trimming([&](const std::stop_token& ended) { give_back_memory(controllers, ended); });
  spdlog::info("running: version={} namespace={} identity={} kubernetes=1.{}", kVersion, settings.installation.ns, settings.identity,
               *minor);

  kube::ElectionOptions election;
  election.lease = {settings.installation.ns, settings.lease};
  election.identity = settings.identity;
  const auto end_requests = [&] {
    controllers.request_stop();
    (*client)->interrupt();
  };
  const auto lead = [&](const std::stop_token& token) {
    // Whether the Lease is lost or given back: nothing of ours may be written after that.
    const std::stop_callback cut(token, end_requests);
    metrics.leader(settings.lease, true);
    spdlog::info("leading: lease={}/{}", settings.installation.ns, settings.lease);
    controllers.lead(token);
    metrics.leader(settings.lease, false);
  };
  const auto observed = [&](const std::string& holder) {
    if (!holder.empty() && holder != settings.identity) spdlog::info("following: leader={}", holder);
  };
  auto ended = kube::run_election(counting_election, clock, election, lead, observed, stop.get_token());
  if (!ended) {
    spdlog::error("the Lease is lost, ending at once: {}", ended.error().message);
    spdlog::default_logger()->flush();
    ::_exit(1);
  }
  end_requests();
  controllers.stop();
  if (*webhook) {
    // API servers ask this replica until they have heard that it ends; it answers by what was known last.
    std::this_thread::sleep_for(kWebhookLinger);
    (*webhook)->drain(kDrainLimit);
  }
  (*server)->drain(kDrainLimit);
  return {};
}

}  // namespace cistern::run
