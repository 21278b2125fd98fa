#include "operator/inspect/origins.hpp"

#include <cctype>

#include "operator/reconcile/words.hpp"

namespace cistern::inspect {
namespace {

void stamp(yaml::Node& node, const std::shared_ptr<const std::string>& origin) {
  node.position = {origin, 0};
  for (auto& child : node.children) stamp(child, origin);
}

void stamp(yaml::Node& node, const std::string& origin) { stamp(node, std::make_shared<const std::string>(origin)); }

// "spec.images.registries[3].name" → "spec.images.registries[].name"
std::string without_indexes(const std::string& path) {
  std::string result;
  for (const char c : path) {
    if (std::isdigit(static_cast<unsigned char>(c)) == 0 || result.empty() || result.back() != '[') result += c;
  }
  return result;
}

// The API server writes the schema's defaults into what it stores, so that they look as if somebody had.
const std::map<std::string, std::string>& defaults() {
  static const auto values = [] {
    model::Effective plain;
    plain.settings.go.upstreams.emplace_back();
    plain.settings.registries.emplace_back().upstreams.emplace_back();
    std::map<std::string, std::string> made;
    for (const auto& value : plan::explain(plain, {})) made[without_indexes(value.path)] = value.value;
    return made;
  }();
  return values;
}

}  // namespace

std::vector<Fact> owner_facts(const World& world, const std::vector<const model::Policy*>& selecting) {
  if (selecting.empty()) return {};
  const auto& owner = *selecting.front();
  std::string why = fmt::format("priority {}; no other policy selects it", owner.spec.priority);
  if (selecting.size() > 1) why = why_first(owner, *selecting[1]);
  std::vector<Fact> facts{{"policy", owner.metadata.name, std::move(why)}};
  for (std::size_t i = 1; i < selecting.size(); ++i) {
    facts.push_back({"also selected by", selecting[i]->metadata.name, fmt::format("priority {}", selecting[i]->spec.priority)});
  }
  const auto* entry = world.desired().policy(owner.metadata.name);
  if (entry != nullptr && entry->invalid) {
    facts.push_back({"generation", std::to_string(entry->accepted->generation),
                     "the newest one is not accepted: " + reconcile::cut(reconcile::one_line(*entry->invalid), 300)});
  }
  return facts;
}

Cause no_owner(const World& world, const char* field, model::LabelSelector model::Spec::*selector) {
  std::vector<std::string> selectors;
  for (const auto* policy : world.policies()) {
    selectors.push_back(fmt::format("{} selects {}", policy->metadata.name, in_words(policy->spec.*selector)));
  }
  for (const auto& [name, entry] : world.desired().policies) {
    if (entry.deleting) selectors.push_back(name + " is being deleted");
    if (!entry.deleting && !entry.accepted) {
      selectors.push_back(
          fmt::format("{} is not accepted ({})", name, reconcile::cut(reconcile::one_line(entry.invalid.value_or("")), 200)));
    }
  }
  if (selectors.empty()) return {Level::kProblem, "there is no MirrorPolicy", "make one: cistern-operator init, then kubectl apply"};
  return {Level::kProblem, "no policy's " + std::string(field) + " selects it: " + reconcile::few(selectors, 5, "; "),
          fmt::format("widen spec.{} of one, or label this", field)};
}

Fact choice_fact(const char* kind, const model::Choice& choice, const std::map<std::string, yaml::Node>& defined,
                 const std::map<std::string, std::string>& labels) {
  const auto label = labels.find(choice.label_key);
  const bool labelled = label != labels.end() && !label->second.empty();
  const auto& name = labelled ? label->second : choice.fallback;
  if (name.empty()) return {kind, "none", fmt::format("no label {}, and the policy has no default", choice.label_key)};
  const auto origin = labelled ? "label " + choice.label_key : fmt::format("the policy's {}.default", kind);
  if (defined.contains(name)) return {kind, name, origin};
  return {kind, "none", fmt::format("the policy defines no {} {} ({})", kind, name, origin)};
}

Result<std::vector<plan::Explanation>> settings_of(const model::Policy& policy, const std::string& region, const std::string& profile,
                                                   const std::vector<std::string>& usual, const Wanted& wanted) {
  const auto base = "policy " + policy.metadata.name;
  model::Policy stamped = policy;
  stamp(stamped.source, base);
  for (auto& [name, overlay] : stamped.spec.regions) stamp(overlay, fmt::format("{}, region {}", base, name));
  for (auto& [name, overlay] : stamped.spec.profiles) stamp(overlay, fmt::format("{}, profile {}", base, name));
  yaml::Problems problems;
  const auto effective = model::effective(stamped, region, profile, problems);
  if (!problems.empty()) return fail(problems.to_error());
  const auto fields = !wanted.fields.empty() ? wanted.fields : wanted.all ? std::vector<std::string>() : usual;
  auto values = plan::explain(effective, fields);
  if (values.empty() && !wanted.fields.empty()) return fail(ErrorCode::kInvalid, "no such field; --all lists all");
  for (auto& value : values) {
    const auto known = defaults().find(without_indexes(value.path));
    if (value.origin == base && known != defaults().end() && known->second == value.value) value.origin = "default";
  }
  return values;
}

std::vector<std::string> unread_of(std::initializer_list<const Listed*> lists) {
  std::vector<std::string> names;
  for (const auto* list : lists) {
    if (list->error) names.push_back(list->what);
  }
  return names;
}

Result<void> check_readable(const World& world) {
  const auto& snapshot = world.snapshot();
  for (const auto* list : {&snapshot.policies, &snapshot.nodes, &snapshot.namespaces}) {
    if (list->error) return fail(list->error->in(fmt::format("{} have to be readable, as they say which policy is in force", list->what)));
  }
  return {};
}

}  // namespace cistern::inspect
