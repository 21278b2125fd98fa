#include "operator/reconcile/desired.hpp"

#include <algorithm>
#include <utility>

#include "operator/model/parse.hpp"

namespace cistern::reconcile {
namespace {

constexpr const char* kGenerationKey = "generation";
constexpr const char* kSpecKey = "spec";

unsigned generation_of(const Json& object) {
  const auto metadata = object.find("metadata");
  return metadata == object.end() ? 0 : metadata->value("generation", 0U);
}

bool has_finalizer(const Json& object) {
  const auto metadata = object.find("metadata");
  if (metadata == object.end() || !metadata->contains("finalizers")) return false;
  return std::ranges::any_of(metadata->at("finalizers"), [](const Json& name) { return name == kFinalizer; });
}

// Of the API server's metadata only what says something about the policy.
Result<std::shared_ptr<const Accepted>> accept(const Json& object, unsigned generation, const Json& spec) {
  Json metadata{{"name", kube::metadata(object, "name")}, {"generation", generation}};
  if (const auto created = kube::metadata(object, "creationTimestamp"); !created.empty()) metadata["creationTimestamp"] = created;
  auto policy = model::from_json(
      yaml::Json(Json{{"apiVersion", model::kApiVersion}, {"kind", model::kKind}, {"metadata", std::move(metadata)}, {"spec", spec}}));
  if (!policy) return fail(policy.error());
  auto references = render::referenced_names(*policy);
  return std::make_shared<const Accepted>(Accepted{std::move(*policy), generation, spec, std::move(references)});
}

// `known`: what it may have been the last time.
std::shared_ptr<const Accepted> from_config_map(const Json& object, const std::string& uid, const Object& config_map,
                                                const std::shared_ptr<const Accepted>& known) {
  if (!config_map) return nullptr;
  const auto owners = config_map->at("metadata").find("ownerReferences");
  // One of an earlier policy of the same name says nothing.
  if (owners == config_map->at("metadata").end() ||
      std::ranges::none_of(*owners, [&](const Json& owner) { return owner.value("uid", "") == uid; })) {
    return nullptr;
  }
  const auto data = config_map->find("data");
  if (data == config_map->end()) return nullptr;
  const Json spec = Json::parse(data->value(kSpecKey, ""), nullptr, false);
  const Json generation = Json::parse(data->value(kGenerationKey, ""), nullptr, false);
  if (spec.is_discarded() || !generation.is_number_unsigned()) return nullptr;
  if (known && known->generation == generation.get<unsigned>() && known->spec == spec) return known;
  auto accepted = accept(object, generation.get<unsigned>(), spec);
  return accepted ? *accepted : nullptr;
}

PolicyEntry make_entry(const PolicyEntry* known, const Object& object, const PlanInput& input) {
  PolicyEntry entry;
  entry.object = object;
  entry.uid = kube::metadata(*object, "uid");
  entry.deleting = !kube::metadata(*object, "deletionTimestamp").empty();
  entry.guarded = has_finalizer(*object);
  if (known != nullptr && known->uid == entry.uid) {
    entry.accepted = known->accepted;
    entry.invalid = known->invalid;
  }
  const auto told = [&] {
    return from_config_map(*object, entry.uid, input.config_map(accepted_name(kube::metadata(*object, "name"))), entry.accepted);
  };
  if (auto leaders = input.follows ? told() : nullptr) {
    entry.accepted = std::move(leaders);
    entry.invalid = std::nullopt;
    return entry;
  }
  const unsigned generation = generation_of(*object);
  if (entry.accepted && entry.accepted->generation == generation) {
    entry.invalid = std::nullopt;
    return entry;
  }
  const Json& spec = object->contains("spec") ? object->at("spec") : Json::object();
  if (auto accepted = accept(*object, generation, spec)) {
    entry.accepted = std::move(*accepted);
    entry.invalid = std::nullopt;
    return entry;
  } else {
    entry.invalid = accepted.error().message;
  }
  if (!entry.accepted) entry.accepted = told();
  return entry;
}

std::map<std::string, std::string> labels_of(const Json& object) {
  const auto metadata = object.find("metadata");
  if (metadata == object.end() || !metadata->contains("labels")) return {};
  return metadata->at("labels").get<std::map<std::string, std::string>>();
}

template <class Facts>
std::vector<Facts> facts_of(const std::vector<Object>& objects) {
  std::vector<Facts> facts;
  facts.reserve(objects.size());
  for (const auto& object : objects) facts.push_back({kube::metadata(*object, "name"), labels_of(*object)});
  return facts;
}

plan::ClusterPlan plan_of(const std::map<std::string, PolicyEntry>& entries, const std::vector<plan::NodeFacts>& nodes,
                          const std::vector<plan::NamespaceFacts>& namespaces, const std::string& own_namespace) {
  return plan::plan_cluster(policies_in_force(entries), nodes, namespaces, own_namespace);
}

std::string in_lines(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += (text.empty() ? "" : "\n") + line;
  return text;
}

// Puts back the accepted spec of policies whose new one does not work for the nodes that there are. True: the plan is to be made again.
bool withdraw_misfits(const plan::ClusterPlan& plan, const Desired& before, const PlanInput& input,
                      std::map<std::string, PolicyEntry>& entries) {
  bool withdrawn = false;
  for (const auto& outcome : plan.outcomes) {
    if (outcome.problems.empty()) continue;
    auto& entry = entries.at(outcome.policy);
    const auto* known = before.policy(outcome.policy);
    std::shared_ptr<const Accepted> older;
    if (known != nullptr && known->uid == entry.uid) {
      older = known->accepted;
    } else {
      older = from_config_map(*entry.object, entry.uid, input.config_map(accepted_name(outcome.policy)), nullptr);
    }
    if (!older || older->generation == entry.accepted->generation) continue;
    const auto* old_outcome = before.outcome(outcome.policy);
    if (old_outcome != nullptr && !old_outcome->problems.empty()) continue;  // it is no better
    entry.accepted = std::move(older);
    entry.invalid = in_lines(outcome.problems);
    withdrawn = true;
  }
  return withdrawn;
}

bool same(const plan::Group& a, const plan::Group& b) {
  return a.policy == b.policy && a.region == b.region && a.profile == b.profile && a.effective.settings == b.effective.settings &&
         std::ranges::equal(a.views, b.views, [](const auto& x, const auto& y) { return x.profile == y.profile && x.go == y.go; });
}

void compare_groups(const Desired& before, const Desired& after, Changes& changed) {
  for (const auto& group : after.plan.groups) {
    const auto* known = before.group(group.name);
    if (known == nullptr || !same(*known, group)) {
      changed.groups.insert(group.name);
    } else if (known->nodes == group.nodes) {
      continue;
    }
    changed.policies.insert(group.policy);
  }
  for (const auto& group : before.plan.groups) {
    if (after.group(group.name) != nullptr) continue;
    changed.groups.insert(group.name);
    changed.policies.insert(group.policy);
  }
}

void compare_nodes(const Desired& before, const Desired& after, Changes& changed) {
  for (const auto& [node, group] : after.plan.group_of_node) {
    if (before.group_of(node) != group) changed.nodes.insert(node);
  }
  for (const auto& [node, group] : before.plan.group_of_node) {
    if (after.group_of(node).empty()) changed.nodes.insert(node);
  }
}

bool same_entry(const PolicyEntry& a, const PolicyEntry& b) {
  return a.uid == b.uid && a.deleting == b.deleting && a.guarded == b.guarded && a.accepted == b.accepted && a.invalid == b.invalid &&
         generation_of(*a.object) == generation_of(*b.object);
}

bool same(const plan::PolicyOutcome* a, const plan::PolicyOutcome* b) {
  if (a == nullptr || b == nullptr) return a == b;
  const auto same_lost = [](const auto& x, const auto& y) {
    return x.first == y.first && x.second.nodes == y.second.nodes && x.second.namespaces == y.second.namespaces;
  };
  const auto same_unknown = [](const auto& x, const auto& y) {
    return x.kind == y.kind && x.name == y.name && x.nodes == y.nodes && x.namespaces == y.namespaces;
  };
  const auto same_notice = [](const auto& x, const auto& y) { return x.path == y.path && x.reason == y.reason; };
  return a->nodes == b->nodes && a->namespaces == b->namespaces && a->problems == b->problems &&
         std::ranges::equal(a->lost_to, b->lost_to, same_lost) && std::ranges::equal(a->unknown, b->unknown, same_unknown) &&
         std::ranges::equal(a->notices, b->notices, same_notice);
}

// What is made for a policy depends on who it is and on whether it is guarded.
void add_all_of(const Desired& desired, const std::string& policy, Changes& changed) {
  for (const auto& group : desired.plan.groups) {
    if (group.policy != policy) continue;
    changed.groups.insert(group.name);
    changed.nodes.insert(group.nodes.begin(), group.nodes.end());
  }
}

void compare_policies(const Desired& before, const Desired& after, Changes& changed) {
  for (const auto& [name, entry] : after.policies) {
    const auto* known = before.policy(name);
    if (known == nullptr || !same_entry(*known, entry) || !same(before.outcome(name), after.outcome(name))) changed.policies.insert(name);
    if (known != nullptr && known->uid == entry.uid && known->guarded == entry.guarded) continue;
    add_all_of(after, name, changed);
  }
  for (const auto& [name, entry] : before.policies) {
    if (!after.policies.contains(name)) changed.policies.insert(name);
  }
}

}  // namespace

const PolicyEntry* Desired::policy(const std::string& name) const {
  const auto found = policies.find(name);
  return found == policies.end() ? nullptr : &found->second;
}

const plan::Group* Desired::group(const std::string& name) const {
  const auto found = group_index.find(name);
  return found == group_index.end() ? nullptr : &plan.groups[found->second];
}

const plan::PolicyOutcome* Desired::outcome(const std::string& policy) const {
  const auto found = std::ranges::lower_bound(plan.outcomes, policy, {}, &plan::PolicyOutcome::policy);
  return found == plan.outcomes.end() || found->policy != policy ? nullptr : &*found;
}

const std::string& Desired::group_of(const std::string& node) const {
  static const std::string none;
  const auto found = plan.group_of_node.find(node);
  return found == plan.group_of_node.end() ? none : found->second;
}

Changes changes(const Desired& before, const Desired& after) {
  Changes changed;
  compare_groups(before, after, changed);
  compare_nodes(before, after, changed);
  compare_policies(before, after, changed);
  return changed;
}

std::string accepted_name(const std::string& policy) { return "cistern-accepted-" + policy; }

Json accepted_config_map(const PolicyEntry& entry, const std::string& ns) {
  const auto name = kube::metadata(*entry.object, "name");
  return Json{{"apiVersion", "v1"},
              {"kind", "ConfigMap"},
              {"metadata",
               {{"name", accepted_name(name)},
                {"namespace", ns},
                {"labels",
                 {{"app.kubernetes.io/name", "cistern"},
                  {"app.kubernetes.io/managed-by", "cistern"},
                  {std::string(render::kPolicyOfObject), name}}},
                {"ownerReferences",
                 Json::array({{{"apiVersion", model::kApiVersion}, {"kind", model::kKind}, {"name", name}, {"uid", entry.uid}}})}}},
              {"data", {{kGenerationKey, std::to_string(entry.accepted->generation)}, {kSpecKey, entry.accepted->spec.dump()}}}};
}

std::vector<plan::NamespaceFacts> namespace_facts(const std::vector<Object>& namespaces) {
  return facts_of<plan::NamespaceFacts>(namespaces);
}

std::vector<model::Policy> policies_in_force(const std::map<std::string, PolicyEntry>& entries) {
  std::vector<model::Policy> policies;
  for (const auto& [name, entry] : entries) {
    if (!entry.deleting && entry.accepted) policies.push_back(entry.accepted->policy);
  }
  return policies;
}

std::shared_ptr<const Desired> make_desired(const Desired& before, const PlanInput& input, const std::string& own_namespace) {
  auto desired = std::make_shared<Desired>();
  for (const auto& object : input.policies) {
    const auto name = kube::metadata(*object, "name");
    desired->policies.emplace(name, make_entry(before.policy(name), object, input));
  }
  const auto nodes = facts_of<plan::NodeFacts>(input.nodes);
  const auto namespaces = namespace_facts(input.namespaces);
  desired->plan = plan_of(desired->policies, nodes, namespaces, own_namespace);
  if (!input.follows && withdraw_misfits(desired->plan, before, input, desired->policies)) {
    desired->plan = plan_of(desired->policies, nodes, namespaces, own_namespace);
  }
  for (std::size_t i = 0; i < desired->plan.groups.size(); ++i) desired->group_index.emplace(desired->plan.groups[i].name, i);
  return desired;
}

}  // namespace cistern::reconcile
