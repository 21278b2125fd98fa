#include "cache-agent/serve.hpp"

#include <csignal>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <thread>

#include <spdlog/spdlog.h>

#include "base/log.hpp"
#include "base/version.hpp"
#include "cache-agent/observe/access_log.hpp"
#include "cache-agent/observe/metrics.hpp"
#include "cache-agent/route/admin.hpp"
#include "cache-agent/route/router.hpp"
#include "config/load.hpp"
#include "config/watch.hpp"
#include "http/server.hpp"

namespace cistern {
namespace {

constexpr auto kWatchInterval = std::chrono::milliseconds(250);

// What the cache tells the metrics.
class CacheObserver final : public cache::Observer {
 public:
  explicit CacheObserver(observe::Metrics& metrics) : metrics_(metrics) {}
  void verification_failed(std::string_view kind) override { metrics_.verify_failure(kind); }

 private:
  observe::Metrics& metrics_;
};

unsigned cores() { return std::max(1U, std::thread::hardware_concurrency()); }

// Everything that lives as long as the process, in the order in which it is made; the order of its end is close().
class Agent {
 public:
  static Result<std::unique_ptr<Agent>> open(config::Loaded loaded);

  void start() { server_->start(); }
  // False: the file is not valid, and the configuration in force stays.
  bool reload(const std::filesystem::path& file);
  // Certificates may change without the configuration's file.
  void reload_certificates() { server_->reload_certificates(); }
  void probe_upstreams() { router_->runtime()->probe_upstreams(); }
  void close();
  std::vector<std::string> files() const;

 private:
  explicit Agent(std::unique_ptr<store::Store> store) : store_(std::move(store)) {}
  Result<std::shared_ptr<const route::Runtime>> make_runtime(config::Loaded loaded);
  void take_into_use(const std::shared_ptr<const route::Runtime>& runtime);
  Result<void> listen();

  SystemClock clock_;
  observe::Metrics metrics_{kVersion};
  observe::AccessLog log_{spdlog::default_logger()};
  CacheObserver observer_{metrics_};
  std::unique_ptr<store::Store> store_;
  asio::thread_pool fills_{std::max(2U, cores())};
  asio::thread_pool verification_{std::max(1U, cores() / 2)};
  asio::thread_pool disk_{2};
  std::unique_ptr<upstream::Client> client_ = upstream::Client::make(clock_, metrics_);
  cache::Cache cache_{cache::Cache::Parts{*store_, clock_, observer_, fills_, verification_}};
  std::vector<std::string> files_;
  std::string complaint_;  // of the last reload that failed: said once
  std::unique_ptr<route::Router> router_;
  std::unique_ptr<route::Admin> admin_;
  std::unique_ptr<http::Server> server_;
};

Result<std::unique_ptr<Agent>> Agent::open(config::Loaded loaded) {
  const auto& storage = loaded.config.storage;
  store::DiskOptions options;
  options.path = storage.path;
  options.size = storage.size;
  options.min_free_percent = storage.min_free_percent;
  options.memory = storage.memory;
  static const SystemClock clock;
  auto store = store::open_disk_store(options, clock);
  if (!store) return fail(store.error());
  std::unique_ptr<Agent> agent(new Agent(std::move(*store)));
  auto runtime = agent->make_runtime(std::move(loaded));
  if (!runtime) {
    agent->close();
    return fail(runtime.error());
  }
  agent->router_ = std::make_unique<route::Router>(*runtime);
  agent->admin_ = std::make_unique<route::Admin>(*agent->router_, agent->metrics_);
  agent->take_into_use(*runtime);
  if (auto listening = agent->listen(); !listening) {
    agent->close();
    return fail(listening.error());
  }
  return agent;
}

Result<std::shared_ptr<const route::Runtime>> Agent::make_runtime(config::Loaded loaded) {
  files_ = loaded.files;
  std::shared_ptr<peers::Directory> directory;
  // What the directory has learnt about peers outlives a change that is not about them.
  const auto before = router_ ? router_->runtime() : nullptr;
  if (loaded.config.peers.enabled) {
    const bool same = before && before->config().peers == loaded.config.peers;
    directory = same ? before->shared_directory() : std::make_shared<peers::Directory>(loaded.config.peers, clock_);
  }
  return route::Runtime::make(std::move(loaded), route::Engine{cache_, *store_, *client_, clock_, disk_, fills_, metrics_},
                              std::move(directory));
}

void Agent::take_into_use(const std::shared_ptr<const route::Runtime>& runtime) {
  const auto& config = runtime->config();
  log_.configure(config.server.slow_request, config.server.log_hits_one_in);
  cache_.set_limits(cache::Limits{config.timeouts.idle, config.retries});
  cache_.forget_negative();
  metrics_.set_config(runtime->hash(), config.policy);
  metrics_.set_sources(observe::Sources{[this] { return store_->stats(); }, [this] { return cache_.fills_in_flight(); },
                                        [this] { return route::upstream_states(*router_->runtime()); },
                                        [this] { return router_->runtime()->changes_of_preference(); }});
  router_->use(runtime);
}

Result<void> Agent::listen() {
  const auto runtime = router_->runtime();
  const auto& config = runtime->config();
  const auto& listeners = config.listeners;
  std::vector<http::ListenerOptions> options;
  const auto add = [&](const std::string& address, route::Door door) {
    if (address.empty()) return;
    http::ListenerOptions listener;
    listener.address = address;
    listener.handler = [router = router_.get(), door](const http::Request& request) { return router->serve(door, request); };
    listener.tls_cert_file = listeners.tls_cert_file;
    listener.tls_key_file = listeners.tls_key_file;
    options.push_back(std::move(listener));
  };
  if (listeners.combined()) {
    add(listeners.node, route::Door::kBoth);
  } else {
    add(listeners.node, route::Door::kNode);
    add(listeners.pods, route::Door::kPods);
  }
  if (!listeners.admin.empty()) {
    http::ListenerOptions admin;
    admin.address = listeners.admin;
    admin.allow_body = true;
    admin.handler = [admin = admin_.get()](const http::Request& request) { return admin->serve(request); };
    options.push_back(std::move(admin));
  }
  http::ServerOptions server;
  server.threads = config.server.threads;
  server.max_header = config.server.max_header;
  server.header_timeout = config.server.header_timeout;
  server.idle_timeout = config.server.idle_timeout;
  server.max_connections = config.server.max_connections;
  server.observer = observe::make_observer(metrics_, log_);
  auto opened = http::Server::open(std::move(server), std::move(options));
  if (!opened) return fail(opened.error());
  server_ = std::move(*opened);
  return {};
}

std::vector<std::string> Agent::files() const { return files_; }

bool Agent::reload(const std::filesystem::path& file) {
  const auto complain = [this](const Error& error) {
    if (error.message != complaint_) spdlog::error("the configuration in force stays: {}", error.message);
    complaint_ = error.message;
    return false;
  };
  auto loaded = config::load(file);
  if (!loaded) return complain(loaded.error());
  const auto before = router_->runtime();
  if (loaded->hash == before->hash()) return true;
  const auto& config = loaded->config;
  const bool restart = !(config.listeners == before->config().listeners) || !(config.storage == before->config().storage) ||
                       !(config.server == before->config().server);
  if (restart) spdlog::warn("a change of listeners, storage or server takes effect after a restart");
  auto runtime = make_runtime(std::move(*loaded));
  if (!runtime) return complain(runtime.error());
  complaint_.clear();
  take_into_use(*runtime);
  spdlog::info("configuration in force: hash={} policy={}", (*runtime)->hash(), (*runtime)->config().policy);
  return true;
}

// Clients first, then what feeds them, then the disk.
void Agent::close() {
  const auto& options = router_->runtime()->config().server;
  if (admin_) admin_->drain();
  std::this_thread::sleep_for(options.shutdown_delay);
  if (server_) server_->drain(options.drain_timeout);
  client_->stop();
  fills_.join();
  verification_.join();
  disk_.join();
  store_->flush();
}

// Whether SIGTERM or SIGINT has come; SIGHUP sets `reload`. Waits a little.
bool wait_for_signal(const sigset_t& signals, bool& reload) {
  const auto nanoseconds = std::chrono::nanoseconds(kWatchInterval).count();
  const timespec limit{0, nanoseconds};
  const int signal = sigtimedwait(&signals, nullptr, &limit);
  reload = signal == SIGHUP;
  return signal == SIGTERM || signal == SIGINT;
}

// A second signal while draining ends the process at once.
void end_at_second_signal(sigset_t signals) {
  std::thread([signals] {
    int signal = 0;
    do {
      sigwait(&signals, &signal);
    } while (signal == SIGHUP);
    ::_exit(128 + signal);
  }).detach();
}

}  // namespace

int serve(const std::filesystem::path& config_file, const std::string& log_level) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);

  // Seen before it is read: a Secret that is swapped while the agent starts swaps this file too.
  config::FileWatch watch;
  watch.watch({std::filesystem::absolute(config_file).lexically_normal().string()});
  auto loaded = config::load(config_file);
  if (!loaded) {
    std::cerr << loaded.error().message << '\n';
    return 2;
  }
  if (auto logging = set_up_logging("cache-agent", log_level.empty() ? loaded->config.server.log_level : log_level); !logging) {
    std::cerr << logging.error().message << '\n';
    return 2;
  }
  const auto listeners = loaded->config.listeners;
  auto agent = Agent::open(std::move(*loaded));
  if (!agent) {
    spdlog::error("{}", agent.error().message);
    return agent.error().code == ErrorCode::kInvalid ? 2 : 1;
  }
  watch.watch((*agent)->files());
  (*agent)->start();
  spdlog::info("serving: node={} pods={} admin={} version={}", listeners.node, listeners.pods, listeners.admin, kVersion);
  // A file that is not valid is read again each second: one that it names may have been what was missing.
  bool valid = true;
  unsigned ticks = 0;
  for (bool reload = false; !wait_for_signal(signals, reload);) {
    (*agent)->reload_certificates();
    (*agent)->probe_upstreams();
    const bool retry = !valid && ++ticks % 4 == 0;
    if (!watch.changed() && !reload && !retry) continue;
    valid = (*agent)->reload(config_file);
    watch.watch((*agent)->files());
  }
  spdlog::info("draining; a second signal ends at once");
  end_at_second_signal(signals);
  (*agent)->close();
  spdlog::info("stopped");
  spdlog::default_logger()->flush();
  // The threads that could still hold a part of the agent have ended or wait for a signal; the disk is in order.
  return 0;
}

}  // namespace cistern
