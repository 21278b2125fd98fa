#include "operator/standalone/run.hpp"

#include <netdb.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <map>
#include <memory>
#include <thread>

#include "base/clock.hpp"
#include "config/watch.hpp"
#include "operator/render/files.hpp"
#include "operator/standalone/agent_process.hpp"
#include "operator/standalone/data_folder.hpp"
#include "operator/standalone/observer.hpp"
#include "operator/standalone/prepare.hpp"
#include "operator/standalone/screen.hpp"

namespace cistern::standalone {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kTick{50};
constexpr milliseconds kPolicyInterval{250};
constexpr milliseconds kRefusedInterval{1000};
constexpr milliseconds kDrawInterval{500};
constexpr seconds kSummaryInterval{60};
constexpr seconds kInForceWarning{5};
constexpr seconds kDrainLimit{40};

// kUnavailable if something else listens there.
Result<void> check_free(const std::string& address) {
  const auto colon = address.rfind(':');
  std::string host = address.substr(0, colon);
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(host.c_str(), address.substr(colon + 1).c_str(), &hints, &found); error != 0) {
    return fail(ErrorCode::kInvalid, "{}: no such address: {}; choose another with --listen", address, ::gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> list(found, &::freeaddrinfo);
  const int descriptor = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return fail(system_error(errno, "make a socket"));
  const int on = 1;
  ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const bool bound = ::bind(descriptor, found->ai_addr, found->ai_addrlen) == 0 && ::listen(descriptor, 1) == 0;
  const int number = errno;
  ::close(descriptor);
  if (bound) return {};
  if (number == EADDRINUSE) {
    return fail(ErrorCode::kUnavailable, "{} is in use by another program; stop that one, or choose another with --listen", address);
  }
  return fail(system_error(number, "listen on " + address).in("choose another with --listen"));
}

// An agent whose operator was killed may need a moment to go.
Result<void> wait_free(const std::string& address) {
  Result<void> free = check_free(address);
  for (int i = 0; i < 15 && !free && free.error().code == ErrorCode::kUnavailable; ++i) {
    std::this_thread::sleep_for(milliseconds(100));
    free = check_free(address);
  }
  return free;
}

std::string served_by(const plan::MachinePlan& plan) {
  std::string served;
  if (!plan.go.upstreams.empty()) served = "Go";
  for (const auto& registry : plan.effective.settings.registries) served += (served.empty() ? "" : ", ") + registry.name;
  return served.empty() ? "nothing" : served;
}

// "default", "default (region cn, profile dev)"
std::string called(const plan::MachinePlan& plan) {
  const auto& [region, profile] = plan.place;
  std::string overlays;
  if (!region.empty()) overlays = "region " + region;
  if (!profile.empty()) overlays += (overlays.empty() ? "profile " : ", profile ") + profile;
  return overlays.empty() ? plan.policy : fmt::format("{} ({})", plan.policy, overlays);
}

class Standalone {
 public:
  // `watch` has seen the policies as they were before they were read.
  Standalone(const Options& options, AgentAddress address, DataFolder folder, Prepared prepared, config::FileWatch watch)
      : options_(options),
        address_(std::move(address)),
        folder_(std::move(folder)),
        prepared_(std::move(prepared)),
        screen_(::isatty(STDOUT_FILENO) == 1),
        agent_(clock_, {options.agent.string(), "serve", "--config", (folder_.path() / render::kAgentFile).string()},
               screen_.live() ? folder_.path() / "agent.log" : std::filesystem::path()),
        watch_(std::move(watch)) {}

  Result<void> start() {
    watch_.watch(prepared_.watched);
    if (auto written = folder_.write(prepared_.files); !written) return written;
    if (auto started = agent_.start(); !started) {
      return fail(started.error().in("the cache-agent program is chosen with --agent"));
    }
    observer_ = std::make_unique<Observer>(address_, screen_.live() ? kDrawInterval : milliseconds(2000));
    tell_plan();
    changed_at_ = clock_.steady();
    return {};
  }

  void loop(const sigset_t& signals) {
    for (;;) {
      const timespec wait{0, std::chrono::nanoseconds(kTick).count()};
      const int signal = ::sigtimedwait(&signals, nullptr, &wait);
      if (signal == SIGINT || signal == SIGTERM || signal == SIGHUP) end(signal);
      if (const auto message = agent_.poll()) screen_.say(Level::kWarning, *message);
      if (ending_) {
        if (!agent_.running()) return;
        if (clock_.steady() - ended_at_ > kDrainLimit) agent_.kill();
        continue;
      }
      follow_policies();
      follow_agent();
    }
  }

 private:
  void end(int signal) {
    if (ending_) {
      screen_.say(Level::kWarning, "ending at once");
      agent_.kill();
      return;
    }
    ending_ = true;
    ended_at_ = clock_.steady();
    screen_.say(Level::kInfo,
                fmt::format("ending ({}); downloads in progress are finished first, once more ends at once", ::strsignal(signal)));
    agent_.stop();
  }

  void tell_plan() {
    const auto& plan = prepared_.plan;
    screen_.say(Level::kInfo, fmt::format("policy {}: serving {} on http://{}", called(plan), served_by(plan), address_.listener));
    screen_.say(Level::kInfo, fmt::format("for go: . {}", (folder_.path() / render::kEnvFile).string()));
    if (!plan.effective.settings.registries.empty()) {
      screen_.say(Level::kInfo, fmt::format("for containerd: config_path = \"{}\"", (folder_.path() / "certs.d").string()));
    }
    for (const auto& notice : plan.notices) screen_.say(Level::kWarning, notice.to_string());
    for (const auto& overridden : plan.overridden) screen_.say(Level::kWarning, overridden.to_string());
  }

  // A policy, a credential or a certificate has changed.
  void follow_policies() {
    if (clock_.steady() < policies_at_) return;
    policies_at_ = clock_.steady() + kPolicyInterval;
    // What was refused for a credential may be mended without a change of any file that was looked for.
    const bool retry = !refused_.empty() && clock_.steady() >= retry_at_;
    if (!watch_.changed() && !retry) return;
    auto prepared = prepare(options_.policies, folder_.path(), options_.listen, options_.place);
    if (!prepared) {
      // New files are watched too, and those of the configuration in force stay watched.
      auto watched = watched_policies(options_.policies);
      watched.insert(watched.end(), prepared_.watched.begin(), prepared_.watched.end());
      watch_.watch(watched);
      retry_at_ = clock_.steady() + kRefusedInterval;
      if (refused_ == prepared.error().message) return;
      refused_ = prepared.error().message;
      screen_.say(Level::kError, refused_);
      screen_.say(Level::kError, "the policies were not taken; the configuration in force stays");
      return;
    }
    watch_.watch(prepared->watched);
    const bool same = prepared->files == prepared_.files && prepared->hash == prepared_.hash;
    if (auto written = folder_.write(prepared->files); !written) {
      screen_.say(Level::kError, written.error().message);
      return;
    }
    prepared_ = std::move(*prepared);
    if (same && !refused_.empty()) screen_.say(Level::kInfo, "the policies are again as they are in force");
    refused_.clear();
    if (same) return;
    screen_.say(Level::kInfo, "the policies have changed");
    tell_plan();
    changed_at_ = clock_.steady();
    in_force_ = warned_ = false;
  }

  void follow_agent() {
    const Observation seen = observer_->latest();
    const auto since = std::chrono::duration_cast<milliseconds>(clock_.steady() - changed_at_);
    if (!in_force_ && agent_.running() && seen.health.find(prepared_.hash) != std::string::npos) {
      in_force_ = true;
      screen_.say(Level::kInfo,
                  fmt::format("in force after {:.1f} s (configuration {})", static_cast<double>(since.count()) / 1000, prepared_.hash));
    } else if (!in_force_ && !warned_ && since > kInForceWarning) {
      warned_ = true;
      screen_.say(Level::kWarning, fmt::format("configuration {} is not in force after {} s; the agent {}", prepared_.hash,
                                               kInForceWarning.count(), seen.health.empty() ? "does not answer" : "has another one"));
    }
    if (seen.status) follow_upstreams(seen.status->upstreams);
    if (screen_.live()) {
      draw(seen);
    } else if (seen.status) {
      summarise(*seen.status);
    }
  }

  void follow_upstreams(const std::vector<UpstreamHealth>& upstreams) {
    for (const auto& upstream : upstreams) {
      auto& known = upstream_states_.try_emplace(upstream.name, "closed").first->second;
      if (known == upstream.state) continue;
      known = upstream.state;
      screen_.say(upstream.state == "closed" ? Level::kInfo : Level::kWarning,
                  fmt::format("upstream {} is {}", upstream.name, upstream.state == "closed" ? "well again" : upstream.state));
    }
  }

  void draw(const Observation& seen) {
    if (clock_.steady() < draw_at_) return;
    draw_at_ = clock_.steady() + kDrawInterval;
    const char* state = !agent_.running() ? "restarting" : seen.health.empty() ? "starting" : in_force_ ? "in force" : "reloading";
    screen_.draw(live_lines({called(prepared_.plan), options_.listen, state, served_by(prepared_.plan)},
                            seen.status.value_or(AgentStatus{}), screen_.width()));
  }

  void summarise(const AgentStatus& status) {
    if (clock_.steady() < summary_at_) return;
    summary_at_ = clock_.steady() + kSummaryInterval;
    if (status.requests != summarised_) screen_.say(Level::kInfo, summary(status));
    summarised_ = status.requests;
  }

  const Options& options_;
  const AgentAddress address_;
  SystemClock clock_;
  DataFolder folder_;
  Prepared prepared_;  // what is written; in force once the agent says so
  Screen screen_;
  AgentProcess agent_;
  std::unique_ptr<Observer> observer_;
  config::FileWatch watch_;
  std::map<std::string, std::string> upstream_states_;
  std::string refused_;  // why the policies in the folder are not in force; empty: they are
  SteadyTime changed_at_{}, policies_at_{}, retry_at_{}, draw_at_{}, summary_at_{}, ended_at_{};
  std::uint64_t summarised_ = 0;
  bool in_force_ = false;
  bool warned_ = false;  // that it is not in force yet
  bool ending_ = false;
};

}  // namespace

Result<void> run(const Options& options) {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) ::sigaddset(&signals, signal);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);

  auto address = agent_address(options.listen);
  if (!address) return fail(address.error());
  auto folder = DataFolder::open(options.data);
  if (!folder) return fail(folder.error());
  config::FileWatch watch;
  watch.watch(watched_policies(options.policies));
  auto prepared = prepare(options.policies, folder->path(), options.listen, options.place);
  if (!prepared) return fail(prepared.error());
  for (const auto& one : {options.listen, address->admin}) {
    if (auto free = wait_free(one); !free) return free;
  }
  Standalone standalone(options, std::move(*address), std::move(*folder), std::move(*prepared), std::move(watch));
  if (auto started = standalone.start(); !started) return started;
  standalone.loop(signals);
  return {};
}

}  // namespace cistern::standalone
