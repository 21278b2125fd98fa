#include "operator/node/node.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <thread>

#include "base/clock.hpp"
#include "base/version.hpp"
#include "operator/kube/configuration.hpp"
#include "operator/kube/event_recorder.hpp"
#include "operator/kube/reflector.hpp"
#include "operator/node/events.hpp"
#include "operator/node/lease.hpp"
#include "operator/node/metrics.hpp"
#include "operator/node/storage.hpp"
#include "operator/render/manifests.hpp"

namespace cistern::node {
namespace {

using kube::Json;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kCall{5};             // for one request: SIGTERM has to be answered within the pod's grace period
constexpr milliseconds kAskAgain{500};  // at the end, of an API server that refuses us

// One object of the API server, kept up to date on a thread of its own.
class Watched final : public kube::Sink {
 public:
  Watched(kube::Client& client, const kube::Resource& resource, const std::string& ns, const std::string& name, const Clock& clock,
          const Events& events)
      : events_(events), reflector_(client, resource, options(ns, name), *this, clock) {
    thread_ = std::jthread([this](const std::stop_token& stop) { reflector_.run(stop); });
  }

  // Whether it has been listed.
  bool known() const {
    const std::lock_guard lock(mutex_);
    return known_;
  }
  std::optional<Json> object() const {
    const std::lock_guard lock(mutex_);
    return object_;
  }

  void request_stop() { thread_.request_stop(); }

  void replace(std::vector<Json> objects) override { set(objects.empty() ? std::nullopt : std::optional(std::move(objects.front()))); }
  void changed(Json object) override { set(std::move(object)); }
  void removed(Json) override { set(std::nullopt); }
  void connected(const Error*) override {}

 private:
  static kube::ReflectorOptions options(const std::string& ns, const std::string& name) {
    kube::ReflectorOptions options;
    options.selection.ns = ns;
    options.selection.field_selector = "metadata.name=" + name;
    return options;
  }
  void set(std::optional<Json> object) {
    {
      const std::lock_guard lock(mutex_);
      object_ = std::move(object);
      known_ = true;
    }
    events_.wake();
  }

  const Events& events_;
  mutable std::mutex mutex_;
  std::optional<Json> object_;
  bool known_ = false;
  kube::Reflector reflector_;
  std::jthread thread_;  // the last: it uses all of the above
};

std::string text_at(const Json& object, const char* pointer) {
  const Json::json_pointer at(pointer);
  return object.contains(at) && object.at(at).is_string() ? object.at(at).get<std::string>() : "";
}

// The parts of a running node program.
class Running {
 public:
  Running(const NodeSettings& settings, kube::Client& client, Keeper& keeper, Events& events)
      : settings_(settings),
        client_(client),
        events_(events),
        recorder_(
            kube::make_event_recorder(client, clock_, {.controller = "cistern.dev/node", .instance = "cistern-node-" + settings.node})),
        host_(make_host()),
        worker_(
            keeper, *host_, clock_,
            [this](bool warning, const char* reason, const char* action, const std::string& note) {
              announce(warning, reason, action, note);
            },
            settings.worker),
        lease_(client, clock_, settings.ns, settings.node),
        node_(client, kube::kNodes, "", settings.node, clock_, events),
        uninstall_(client, kube::kConfigMaps, settings.ns, std::string(kUninstallConfigMap), clock_, events),
        own_lease_(client, kube::kLeases, settings.ns, lease_name(settings.node), clock_, events) {}

  void run(NodeMetrics& metrics) {
    // Files that somebody changed meanwhile are mended before anybody is asked.
    while (true) {
      const auto view = look();
      report_ = worker_.round(view);
      metrics.update(worker_.counters(), report_);
      events_.watch(worker_.folders());
      // Not before it is known whether there is one, so that what it was granted is not asked about in vain.
      const auto due = own_lease_.known() ? lease_.round(report_, owner()) : SteadyTime::max();
      if (events_.wait(std::min(report_.next, due))) break;
    }
    end();
    for (auto* watched : {&node_, &uninstall_, &own_lease_}) watched->request_stop();
    if (config_map_) config_map_->request_stop();
  }

 private:
  View look() {
    View view;
    view.uninstall_known = uninstall_.known();
    view.uninstalling = uninstall_.object().has_value();
    const auto node = node_.object();
    // A Node that is not there is one that leaves the cluster, or a wrong name: neither is a reason to touch files.
    view.node_known = node.has_value();
    if (node) {
      view.group = kube::label(*node, render::kGroupLabel);
      view.facts = {text_at(*node, "/status/nodeInfo/containerRuntimeVersion"), text_at(*node, "/status/nodeInfo/osImage"),
                    text_at(*node, "/status/nodeInfo/kubeletVersion")};
    }
    follow_group(view.group);
    if (config_map_) {
      view.config_known = config_map_->known();
      if (const auto object = config_map_->object()) view.config = text_at(*object, "/data/node.json");
    }
    if (const auto lease = own_lease_.object()) view.granted = kube::annotation(*lease, kGrantedAnnotation);
    return view;
  }

  void follow_group(const std::string& group) {
    if (group == followed_) return;
    followed_ = group;
    config_map_.reset();
    if (group.empty()) return;
    config_map_.emplace(client_, kube::kConfigMaps, settings_.ns, std::string(kConfigMapPrefix) + group, clock_, events_);
  }

  std::string owner() const {
    const auto node = node_.object();
    return node ? kube::metadata(*node, "uid") : "";
  }

  void announce(bool warning, const char* reason, const char* action, const std::string& note) {
    const auto node = node_.object();
    if (!node) return;
    const Json about{
        {"kind", "Node"}, {"apiVersion", "v1"}, {"metadata", {{"name", settings_.node}, {"uid", kube::metadata(*node, "uid")}}}};
    recorder_->record(about, warning ? kube::EventType::kWarning : kube::EventType::kNormal, reason, action, note);
  }

  // Whether Cistern is leaving; nothing: it can not be told. An account that is refused twice has been deleted, which an upgrade never
  // does.
  std::optional<bool> is_gone() {
    for (int tries = 0; tries < 2; ++tries) {
      if (tries > 0) std::this_thread::sleep_for(kAskAgain);
      const auto space = client_.get(kube::kNamespaces, {"", settings_.ns});
      if (space && !kube::metadata(*space, "deletionTimestamp").empty()) return true;
      if (!space && space.error().code != ErrorCode::kForbidden && space.error().code != ErrorCode::kNotFound) return std::nullopt;
      const auto set = client_.get(kube::kDaemonSets, {settings_.ns, settings_.daemon_set});
      if (set) return !kube::metadata(*set, "deletionTimestamp").empty();
      if (set.error().code == ErrorCode::kNotFound) return true;
      if (set.error().code != ErrorCode::kForbidden) return std::nullopt;
    }
    return true;
  }

  void end() {
    const auto gone = is_gone();
    spdlog::info("ending: {}", !gone   ? "the API server does not say whether this is for good"
                               : *gone ? "for good, files go"
                                       : "to come back, files stay");
    worker_.end(gone);
    if (!gone || !*gone) return;
    View leaving;
    leaving.uninstall_known = leaving.uninstalling = true;
    leaving.group = report_.group;
    report_ = worker_.round(leaving);
    if (const auto written = lease_.write(report_, owner()); !written)
      spdlog::info("the Lease was not written: {}", written.error().message);
  }

  const NodeSettings& settings_;
  const SystemClock clock_;
  kube::Client& client_;
  Events& events_;
  std::unique_ptr<kube::EventRecorder> recorder_;
  std::unique_ptr<Host> host_;
  Worker worker_;
  LeaseWriter lease_;
  Report report_;
  std::string followed_;
  Watched node_, uninstall_, own_lease_;
  std::optional<Watched> config_map_;
};

}  // namespace

Result<void> run_node(const NodeSettings& settings) {
  auto events = Events::open();
  if (!events) return fail(events.error());
  RealFileSystem files;
  auto keeper = Keeper::open(files, settings.worker.root, settings.state);
  if (!keeper) return fail(keeper.error());
  const auto configuration = kube::find_configuration(settings.kubeconfig);
  if (!configuration) return fail(configuration.error());
  kube::ClientOptions options;
  options.timeout = kCall;
  options.user_agent = fmt::format("cistern-node/{}", kVersion);
  options.threads = 2;
  const auto client = kube::make_client(*configuration, options);
  if (!client) return fail(client.error());
  NodeMetrics metrics;
  std::unique_ptr<MetricsServer> server;
  if (!settings.metrics.empty()) {
    auto opened = serve_metrics(metrics, settings.metrics);
    if (!opened) return fail(opened.error());
    server = std::move(*opened);
  }
  spdlog::info("running: version={} node={} namespace={} host={} state={}", kVersion, settings.node, settings.ns,
               settings.worker.root.string(), settings.state.string());
  {
    Running running(settings, **client, *keeper, *events);
    running.run(metrics);
    (*client)->interrupt();
  }
  return {};
}

Result<void> restore_node(const NodeSettings& settings, const std::function<void(const std::string&)>& say) {
  const auto& root = settings.worker.root;
  if (!Keeper::exists(root, settings.state)) {
    say(fmt::format("nothing to put back: {} has no ledger", (root / settings.state.relative_path()).string()));
    return {};
  }
  RealFileSystem files;
  auto keeper = Keeper::open(files, root, settings.state);
  if (!keeper) return fail(keeper.error());
  const auto change = keeper->restore();
  if (!change) return fail(change.error());
  for (const auto& path : change->restored) say(fmt::format("put back as before: {}", path));
  for (const auto& left : change->left) say(fmt::format("left as it is: {}", left));
  if (std::ranges::any_of(change->restored, [](const auto& path) { return path.ends_with(".conf"); })) {
    if (const auto told = make_host()->reload_crio(); !told) say(fmt::format("CRI-O was not told: {}", told.error().message));
  }
  if (!change->any()) say("no file of ours is on this node");
  const auto storage = keeper->ledger().storage;
  std::optional<Error> failed;
  for (const auto& [path, keep] : storage) {
    const auto removed = keep ? Result<void>() : remove_storage(root, path);
    if (!removed) failed = removed.error();
    say(keep ? fmt::format("kept, as the policy says: {}", path) : removed ? fmt::format("removed: {}", path) : removed.error().message);
    (void)keeper->forget_storage(path);
  }
  return failed ? Result<void>(fail(*failed)) : Result<void>();
}

}  // namespace cistern::node
