#include "tests/unit/operator/reconcile/status_world.hpp"

namespace cistern::reconcile {

World::World() {
  object = {{"metadata", {{"name", "default"}, {"generation", 3}, {"uid", "u"}}}, {"spec", nlohmann::json::object()}};
  outcome.policy = "default";
  outcome.nodes = 3;
  outcome.namespaces = 5;
  state.object = &object;
  state.outcome = &outcome;
  state.accepted_generation = 3;
  state.groups.push_back(group_in_force("default", {"n1", "n2", "n3"}));
  totals = {970, 30, 10'000'000, 1'000'000, 123'456'789};
}

AgentPod& World::sick_pod(std::size_t index) {
  auto& sick = pod(index);
  sick.ready = false;
  sick.report.reset();
  return sick;
}

GroupState group_in_force(const std::string& name, const std::vector<std::string>& nodes) {
  GroupState group;
  group.group = name;
  group.config_hash = "hash-" + name;
  group.nodes = nodes;
  group.scheduled = nodes.size();
  for (const auto& node : nodes) {
    AgentPod pod;
    pod.name = "cistern-" + name + "-" + node;
    pod.node = node;
    pod.ready = true;
    pod.image = "registry.example/cistern:1.0.0";
    pod.report = AgentReport{};
    pod.report->config_hash = group.config_hash;
    pod.report->upstreams = {{"main", "closed", ""}, {"hub", "closed", ""}};
    group.pods.push_back(std::move(pod));
  }
  return group;
}

nlohmann::json condition(const nlohmann::json& status, const std::string& type) {
  for (const auto& one : status.at("conditions")) {
    if (one.at("type") == type) return one;
  }
  return nullptr;
}

namespace {

void no_pods(World& world) {
  world.group().pods.clear();
  world.group().scheduled.reset();
  world.totals = {};
}

void rolling_out(World& world) {
  world.group().config_hash = "hash-new";
  world.pod(0).report->config_hash = "hash-new";
  world.sick_pod(2).waiting_reason = "ContainerCreating";
}

void former_template(World& world) { world.pod(1).outdated = true; }

void invalid_never_accepted(World& world) {
  world.state.invalid = "spec.go.upstreams[0].url: \"ftp://x\" is no http or https URL";
  world.state.accepted_generation.reset();
  world.state.outcome = nullptr;
  world.state.groups.clear();
  world.totals = {};
}

void invalid_with_a_generation_in_force(World& world) {
  world.state.invalid = "spec.retries: 400 is more than 10\nspec.timeouts.idle: \"x\" is no duration.\n";
  world.state.accepted_generation = 2;
}

void no_nodes(World& world) {
  world.outcome.nodes = 0;
  world.state.groups.clear();
}

void wholly_overridden(World& world) {
  no_nodes(world);
  world.outcome.namespaces = 0;
  world.outcome.lost_to = {{"strict", {3, 5}}};
}

void partly_overridden(World& world) {
  world.outcome.lost_to = {{"b", {1, 0}}, {"a", {2, 1}}, {"c", {0, 4}}, {"d", {1, 0}}, {"e", {1, 0}}, {"unharmed", {0, 0}}};
}

void overlays_invalid(World& world) {
  world.outcome.nodes = 5;
  world.outcome.problems = {"group of region cn: spec.images.registries[docker.io]: fallbackToSource: false needs nodeConfig.mode: Apply"};
}

void apply_refused(World& world) {
  world.group().apply_error =
      "daemonsets.apps \"cistern-default\" is forbidden: User \"system:serviceaccount:cistern-system:cistern-operator\" cannot patch "
      "resource";
  world.group().apply_refused = true;
}

void apply_failed(World& world) {
  world.group().apply_error = "Put \"https://10.96.0.1:443/…\": connection refused";
  world.state.apply_error = "503: etcdserver: request timed out";
}

void secret_missing(World& world) {
  world.state.groups.push_back(group_in_force("default-cn", {"n4"}));
  world.outcome.nodes = 4;
  for (auto& group : world.state.groups) {
    group.missing = {{"spec.go.upstreams[0].credentialsRef",
                      "Secret corp does not exist in cistern-system; create it with the keys username and password"},
                     {"spec.images.registries[0].upstreams[0].caRef",
                      "neither ConfigMap nor Secret corp-ca exists in cistern-system; create one with the key ca.crt; until then the "
                      "system's certificates are trusted"}};
  }
}

void upstream_unreachable(World& world) {
  world.pod(0).report->upstreams[0] = {"main", "open",
                                       "main: Failed to connect to proxy.example port 443 after 12 ms: Couldn't connect to server"};
  world.pod(1).report->upstreams[0] = {"main", "half-open",
                                       "main: Failed to connect to proxy.example port 443 after 7 ms: Couldn't connect to server"};
  world.pod(2).report->upstreams[1] = {"hub", "open", ""};
}

void image_cannot_be_pulled(World& world) {
  auto& first = world.sick_pod(0);
  first.waiting_reason = "ImagePullBackOff";
  first.waiting_message =
      "Back-off pulling image \"registry.example/cistern:1.0.0\": ErrImagePull: rpc error: code = NotFound desc = "
      "registry.example/cistern:1.0.0: not found";
  world.sick_pod(2).waiting_reason = "ErrImagePull";
}

void image_name_is_wrong(World& world) {
  auto& pod = world.sick_pod(1);
  pod.image = "Not An Image";
  pod.waiting_reason = "InvalidImageName";
  pod.waiting_message = "couldn't parse image name \"Not An Image\": invalid reference format";
}

void crash_loop(World& world) {
  auto& waiting = world.sick_pod(0);
  waiting.waiting_reason = "CrashLoopBackOff";
  waiting.waiting_message = "back-off 1m20s restarting failed container=agent";
  waiting.last_end = "exit code 1: /etc/cistern/agent.yaml:3: no such field";
  auto& between_tries = world.sick_pod(1);
  between_tries.restarts = 4;
  between_tries.last_end = "exit code 1: /etc/cistern/agent.yaml:3: no such field";
}

void cannot_start(World& world) {
  auto& pod = world.sick_pod(1);
  pod.waiting_reason = "CreateContainerConfigError";
  pod.waiting_message = "secret \"cistern-default\" not found";
}

void unschedulable(World& world) {
  world.sick_pod(1).unschedulable = "0/3 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.";
  auto& homeless = world.sick_pod(2);
  homeless.node.clear();
  homeless.unschedulable = "0/3 nodes are available: 1 Insufficient memory.";
}

void nodes_left_out(World& world) {
  world.group().scheduled = 1;
  world.group().pods.resize(1);
}

void pods_refused(World& world) {
  world.group().pods.resize(1);
  world.group().refused =
      "Error creating: pods \"cistern-default-x7k2p\" is forbidden: exceeded quota: few, requested: pods=1, used: pods=3, limited: pods=3";
}

// Every node that the DaemonSet takes has its pod: what was refused once is not why the others have none.
void nodes_left_out_after_a_refusal(World& world) {
  pods_refused(world);
  world.group().scheduled = 1;
}

void nodes_left_out_and_pods_refused(World& world) {
  pods_refused(world);
  world.group().scheduled = 2;
}

// By something that may work again by itself.
void pods_refused_for_now(World& world) {
  world.group().pods.resize(1);
  world.group().refused = "Error creating: Internal error occurred: failed calling webhook \"check.example.com\": no endpoints available";
}

void some_unreachable(World& world) {
  world.group().unreachable = {"n3"};
  world.sick_pod(2).waiting_reason = "ErrImagePull";  // of no interest there
}

void all_unreachable(World& world) {
  world.group().unreachable = {"n3", "n1", "n2"};
  for (std::size_t i = 0; i < 3; ++i) world.sick_pod(i);
}

void unknown_names(World& world) {
  world.outcome.unknown = {{"region", "mars", 2, 0}, {"profile", "prod", 1, 4}, {"profile", "beta", 0, 1}, {"region", "moon", 0, 0}};
}

void notices(World& world) {
  world.outcome.notices = {{{}, "spec.prefetch", "nothing is fetched ahead of its use yet"},
                           {{}, "spec.peers.replicas", "one owner keeps a copy"}};
}

void not_answering(World& world) {
  world.pod(1).report.reset();
  world.pod(1).no_answer = "10.1.0.2:5051: no answer in time";
}

void deleting(World& world) {
  world.object["metadata"]["deletionTimestamp"] = "2026-01-02T03:00:00Z";
  world.state.apply_error = "nodes \"n1\" is forbidden";
  world.state.apply_refused = true;
}

void many_groups(World& world) {
  world.state.groups.clear();
  for (int i = 20; i > 0; --i) {
    world.state.groups.push_back(group_in_force(fmt::format("default-r{:02}", i), {fmt::format("n{:02}", i)}));
    world.state.groups.back().region = fmt::format("r{:02}", i);
    world.state.groups.back().profile = i % 2 == 0 ? "prod" : "";
  }
  world.outcome.nodes = 20;
}

void much_at_once(World& world) {
  many_groups(world);
  invalid_with_a_generation_in_force(world);
  secret_missing(world);
  unknown_names(world);
  partly_overridden(world);
  world.outcome.problems = {"second problem", "first problem"};
  apply_refused(world);
  auto& groups = world.state.groups;
  for (std::size_t i = 0; i < 8; ++i) {
    auto& pod = groups[i].pods[0];
    pod.ready = false;
    pod.report.reset();
    if (i < 4) pod.waiting_reason = "ImagePullBackOff";
    if (i == 5) pod.unschedulable = "0/20 nodes are available: 1 node(s) had untolerated taint {a: b}.";
    if (i == 6) pod.waiting_reason = "CrashLoopBackOff";
    if (i == 7) groups[i].pods.clear();
  }
  groups[9].pods[0].report->upstreams[1].state = "open";
}

void not_planned_yet(World& world) {
  world.state.outcome = nullptr;
  world.state.accepted_generation.reset();
  world.state.groups.clear();
  world.totals = {};
}

}  // namespace

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"everything_in_force", [](World&) {}},
      {"no_pods", no_pods},
      {"rolling_out", rolling_out},
      {"former_template", former_template},
      {"invalid_never_accepted", invalid_never_accepted},
      {"invalid_with_a_generation_in_force", invalid_with_a_generation_in_force},
      {"no_nodes", no_nodes},
      {"wholly_overridden", wholly_overridden},
      {"partly_overridden", partly_overridden},
      {"overlays_invalid", overlays_invalid},
      {"apply_refused", apply_refused},
      {"apply_failed", apply_failed},
      {"secret_missing", secret_missing},
      {"upstream_unreachable", upstream_unreachable},
      {"image_cannot_be_pulled", image_cannot_be_pulled},
      {"image_name_is_wrong", image_name_is_wrong},
      {"crash_loop", crash_loop},
      {"cannot_start", cannot_start},
      {"unschedulable", unschedulable},
      {"nodes_left_out", nodes_left_out},
      {"pods_refused", pods_refused},
      {"nodes_left_out_after_a_refusal", nodes_left_out_after_a_refusal},
      {"nodes_left_out_and_pods_refused", nodes_left_out_and_pods_refused},
      {"pods_refused_for_now", pods_refused_for_now},
      {"some_unreachable", some_unreachable},
      {"all_unreachable", all_unreachable},
      {"unknown_names", unknown_names},
      {"notices", notices},
      {"not_answering", not_answering},
      {"deleting", deleting},
      {"many_groups", many_groups},
      {"much_at_once", much_at_once},
      {"not_planned_yet", not_planned_yet},
  };
  return all;
}

}  // namespace cistern::reconcile
