#include "operator/inspect/origins.hpp"
#include "operator/reconcile/agent_pod.hpp"
#include "operator/reconcile/words.hpp"

namespace cistern::inspect {
namespace {

const std::vector<std::string> kOfNodes = {"images", "storage", "agent", "nodeConfig"};

void add(std::vector<Fact>& facts, const char* name, std::string value, std::string origin = {}) {
  if (!value.empty()) facts.push_back({name, std::move(value), std::move(origin)});
}

std::vector<Fact> lease_facts(const World& world, const std::string& node, const std::string& group) {
  const auto& snapshot = world.snapshot();
  if (!snapshot.leases.known()) return {{"lease", "not known", "Leases could not be read"}};
  const auto state = world.node_state(node);
  if (!state) return {{"lease", "none", fmt::format("{} has not reported from there", kNodeDaemonSet)}};
  std::vector<Fact> facts;
  add(facts, "state", state->state, reconcile::one_line(state->message));
  const auto wanted = world.wanted_node_hash(group);
  std::string applied_origin = wanted.empty()                  ? ""
                               : state->applied_hash == wanted ? "as the operator wants it"
                                                               : "the operator wants " + wanted;
  if (state->applied_hash != wanted && state->granted == wanted && !wanted.empty()) applied_origin += ", and has granted it";
  add(facts, "applied", state->applied_hash, applied_origin);
  add(facts, "runtime", state->runtime);
  add(facts, "version", state->version, "of the node's program");
  add(facts, "drift", std::to_string(state->drift), fmt::format("files left as they are; {} mended so far", state->repairs));
  add(facts, "failures", std::to_string(state->failures), "in a row");
  if (!state->kept_in_fallback.empty()) {
    add(facts, "kept in fallback", fmt::format("{}", fmt::join(state->kept_in_fallback, ", ")),
        "images that start before the agent come from there");
  }
  add(facts, "heartbeat", state->age ? age_in_words(*state->age) + " ago" : "never", state->is_stale() ? "stale" : "");
  return facts;
}

// "answers; preferred; first byte after 12.3 ms, connected in 1 ms, whole in 20 ms, jitter 2 ms"
std::string told_of(const reconcile::UpstreamState& upstream) {
  auto text = upstream.state == "closed" ? "answers" : "not asked for now: " + reconcile::one_line(upstream.error);
  if (!upstream.canary_withdrawn.empty()) text += "; canary withdrawn: " + reconcile::one_line(upstream.canary_withdrawn);
  const auto& speed = upstream.speed;
  if (speed.preferred.value_or(false)) text += "; preferred";
  const char* separator = "; ";
  for (const auto& [what, time] :
       {std::pair{"first byte after", speed.first_byte}, std::pair{"connected in", speed.connect}, std::pair{"whole in", speed.total},
        std::pair{"jitter", speed.jitter}, std::pair{"score", speed.score}}) {
    if (!time) continue;
    text += fmt::format("{}{} {:.1f} ms", separator, what, *time);
    separator = ", ";
  }
  return text;
}

std::vector<Fact> agent_facts(const World& world, const plan::Group& group, const std::string& node) {
  const auto& snapshot = world.snapshot();
  if (!snapshot.pods.known()) return {{"agent", "not known", "pods could not be read"}};
  const Json* object = world.agent_on(node, group.name);
  if (object == nullptr) return {{"agent", "none", ""}};
  const auto pod = reconcile::agent_pod(*object);
  std::vector<Fact> facts;
  add(facts, "agent", pod.name, pod.ready ? "ready" : "not ready: " + why_not_ready(pod));
  const auto wanted = world.wanted_agent_hash(group.policy, group.name);
  const auto answer = snapshot.answers.find(kube::metadata(*object, "uid"));
  if (answer == snapshot.answers.end()) return facts;
  if (!answer->second) {
    add(facts, "configuration", "not known",
        "the agent can not be asked from here; the policy's condition Ready tells what the operator sees");
    return facts;
  }
  const auto& report = *answer->second;
  add(facts, "configuration", report.config_hash,
      wanted.empty()                 ? ""
      : report.config_hash == wanted ? "in force, as wanted"
                                     : "the operator wants " + wanted);
  for (const auto& upstream : report.upstreams) add(facts, "upstream", upstream.name, told_of(upstream));
  return facts;
}

}  // namespace

Result<Explained> explain_node(const World& world, const std::string& name, const Wanted& wanted) {
  if (auto readable = check_readable(world); !readable) return fail(readable.error());
  const Json* node = world.snapshot().nodes.find(name);
  if (node == nullptr) return fail(ErrorCode::kNotFound, "there is no node {}; kubectl get nodes lists them", name);
  const auto labels = labels_of(*node);
  const auto selecting = world.selecting(labels, &model::Spec::node_selector);
  Explained explained{"node",
                      name,
                      owner_facts(world, selecting),
                      {},
                      {},
                      {{"images", {}, unread_of({&world.snapshot().leases, &world.snapshot().pods})}},
                      world.snapshot().unread()};
  auto& causes = explained.verdicts.front().causes;
  if (selecting.empty()) {
    causes.push_back(no_owner(world, "nodeSelector", &model::Spec::node_selector));
    explained.applied = lease_facts(world, name, "");
    return explained;
  }
  const auto& policy = *selecting.front();
  explained.policy.push_back(choice_fact("region", policy.spec.region, policy.spec.regions, labels));
  explained.policy.push_back(choice_fact("profile", policy.spec.profile, policy.spec.profiles, labels));
  const auto* group = world.desired().group(world.desired().group_of(name));
  if (group == nullptr) {
    const auto* outcome = world.desired().outcome(policy.metadata.name);
    const auto problems = outcome == nullptr ? std::string() : reconcile::few(outcome->problems, 3, "; ");
    causes.push_back({Level::kProblem, "the policy's overlays do not fit together for this node: " + reconcile::one_line(problems),
                      "correct the overlay named"});
    return explained;
  }
  explained.policy.push_back({"group", group->name, "nodes of the same policy, region and profile"});
  auto settings = settings_of(policy, group->region, group->profile, kOfNodes, wanted);
  if (!settings) return fail(settings.error());
  explained.settings = std::move(*settings);
  explained.applied = lease_facts(world, name, group->name);
  for (auto& fact : agent_facts(world, *group, name)) explained.applied.push_back(std::move(fact));
  for (const auto& more : {runtime_causes(world, *group, *node), node_program_causes(world, name), agent_causes(world, *group, name)}) {
    causes.insert(causes.end(), more.begin(), more.end());
  }
  return explained;
}

}  // namespace cistern::inspect
