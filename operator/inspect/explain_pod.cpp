// Namespaces and pods: what new pods are told, and what this one was told.
#include <algorithm>
#include <set>

#include "operator/admission/decision.hpp"
#include "operator/inspect/origins.hpp"
#include "operator/reconcile/words.hpp"
#include "operator/render/environment.hpp"

namespace cistern::inspect {
namespace {

const std::vector<std::string> kOfPods = {"injection", "go"};

// What holds for pods of a namespace.
struct Ownership {
  const model::Policy* policy = nullptr;
  std::vector<Fact> facts;
  std::map<std::string, std::string> labels;
};

Ownership ownership(const World& world, const std::string& ns) {
  Ownership made;
  const Json* object = world.snapshot().namespaces.find(ns);
  if (object != nullptr) made.labels = labels_of(*object);
  if (plan::is_never_injected(ns, world.ns())) return made;
  const auto selecting = world.selecting(made.labels, &model::Spec::namespace_selector);
  made.facts = owner_facts(world, selecting);
  if (!selecting.empty()) made.policy = selecting.front();
  return made;
}

admission::PolicyRules::Chosen chosen(const World& world, const Ownership& owned, const std::string& annotation) {
  const auto& rules = world.rules().policies.at(owned.policy->metadata.name);
  return rules.choose(annotation, {owned.labels.begin(), owned.labels.end()});
}

Fact profile_fact(const Ownership& owned, const std::string& annotation) {
  const auto& spec = owned.policy->spec;
  if (annotation.empty()) return choice_fact("profile", spec.profile, spec.profiles, owned.labels);
  const auto origin = fmt::format("annotation {} of the pod", admission::kProfileAnnotation);
  if (spec.profiles.contains(annotation)) return {"profile", annotation, origin};
  return {"profile", "none", fmt::format("the policy defines no profile {} ({})", annotation, origin)};
}

// What new pods get, variable by variable.
void add_told(const Ownership& owned, const admission::Told& told, std::vector<Fact>& facts) {
  const auto& env = owned.policy->spec.settings.injection.env;
  for (const auto& [name, value] : told.variables) {
    facts.push_back({name, value, env.contains(name) ? "injection.env" : name == "GOPROXY" ? "the policy's Service" : "spec.go"});
  }
}

void add_webhook(const World& world, const std::map<std::string, std::string>& namespace_labels,
                 const std::map<std::string, std::string>& pod_labels, Causes& causes) {
  for (auto& cause : webhook_causes(world)) causes.push_back(std::move(cause));
  const Json* webhook = world.webhook();
  const auto why = webhook == nullptr ? "" : why_webhook_is_not_asked(*webhook, namespace_labels, pod_labels);
  if (!why.empty()) {
    causes.push_back({Level::kProblem, "the API server does not ask the webhook: " + why, "change the labels, or the webhook's selectors"});
  }
}

// What to do about what decide() says, where its words do not name that already.
std::string todo_for(const World& world, const Ownership& owned, const admission::Told* told, const std::string& ns) {
  if (plan::is_never_injected(ns, world.ns())) return "set GOPROXY in the pods yourself";
  if (owned.policy == nullptr || told == nullptr) return "";
  if (told->mode == model::InjectionMode::kOff) return "set injection.mode to OptOut, or to OptIn and label pods";
  if (told->variables.empty()) return "add spec.go.upstreams or injection.env";
  if (!world.rules().ready.contains(owned.policy->metadata.name)) {
    return fmt::format("kubectl -n {} get pods -l cistern.dev/policy={}", world.ns(), owned.policy->metadata.name);
  }
  const auto label = owned.labels.find(std::string(admission::kInjectLabel));
  const bool opted_out = label != owned.labels.end() && label->second == "false";
  return opted_out ? "take that label away, if the cache shall be used" : "";
}

const Json& annotations_of(const Json& pod) { return at(pod, {"metadata", "annotations"}); }

bool is_ours(const Json& variable, const admission::Told& told) {
  const auto known = told.variables.find(text(variable, {"name"}));
  return known != told.variables.end() && variable.contains("value") && variable["value"] == known->second;
}

bool refers_to_map(const Json& source) {
  const auto name = text(source, {"configMapRef", "name"});
  return name == admission::kEnvironmentMap || name.starts_with(std::string(admission::kEnvironmentMap) + "-") ||
         name.starts_with(std::string(admission::kEnvironmentMap) + ".");
}

// The pod as it was asked for: without what is ours. What an earlier state of the policy put in can not be told from the pod's own.
Json without_ours(Json pod, const admission::Told& told) {
  if (annotations_of(pod).is_object()) {
    for (const auto key :
         {admission::kInjectedAnnotation, admission::kInjectedProfileAnnotation, admission::kInjectedVariablesAnnotation}) {
      pod["metadata"]["annotations"].erase(std::string(key));
    }
  }
  for (const char* list : {"initContainers", "containers"}) {
    if (!at(pod, {"spec", list}).is_array()) continue;
    for (auto& container : pod["spec"][list]) {
      const auto drop = [&](const char* field, const auto& which) {
        if (!at(container, {field}).is_array()) return;
        Json kept = Json::array();
        for (auto& one : container[field]) {
          if (!which(one)) kept.push_back(std::move(one));
        }
        container[field] = std::move(kept);
      };
      drop("env", [&](const Json& one) { return is_ours(one, told); });
      drop("envFrom", refers_to_map);
    }
  }
  return pod;
}

// Of each container what it has of the variables; its own values are not printed, as they may hold a password.
void add_variables(const Json& pod, const admission::Told& told, std::vector<Fact>& facts) {
  for (const char* list : {"initContainers", "containers"}) {
    for (const auto& container : at(pod, {"spec", list})) {
      const auto name = "container " + text(container, {"name"});
      for (const auto& variable : at(container, {"env"})) {
        const auto key = text(variable, {"name"});
        if (!told.variables.contains(key)) continue;
        facts.push_back(is_ours(variable, told)
                            ? Fact{name, fmt::format("{}={}", key, told.variables.find(key)->second), "as new pods get it"}
                            : Fact{name, key, "set otherwise: by the pod itself, or before the policy changed"});
      }
      const Json& sources = at(container, {"envFrom"});
      if (std::ranges::any_of(sources, refers_to_map))
        facts.push_back({name, "envFrom", fmt::format("ConfigMap {} of the namespace", admission::kEnvironmentMap)});
    }
  }
}

// Whether one container at least has the cache as its GOPROXY, by env or by the ConfigMap.
bool any_asks_cache(const Json& pod, const admission::Told& told) {
  for (const char* list : {"initContainers", "containers"}) {
    for (const auto& container : at(pod, {"spec", list})) {
      const Json& env = at(container, {"env"});
      const auto proxy = std::ranges::find_if(env, [](const Json& one) { return text(one, {"name"}) == "GOPROXY"; });
      if (proxy != env.end() ? is_ours(*proxy, told) : std::ranges::any_of(at(container, {"envFrom"}), refers_to_map)) return true;
    }
  }
  return false;
}

// docker.io/library/nginx:1 → docker.io; nginx → docker.io.
std::string registry_of(const std::string& image) {
  const auto slash = image.find('/');
  const auto first = slash == std::string::npos ? std::string() : image.substr(0, slash);
  const bool host = first.find_first_of(".:") != std::string::npos || first == "localhost";
  return host ? first : "docker.io";
}

void explain_images(const World& world, const Json& pod, Explained& explained) {
  Verdict verdict{"images", {}, unread_of({&world.snapshot().leases, &world.snapshot().pods})};
  const auto node = text(pod, {"spec", "nodeName"});
  const auto* group = node.empty() ? nullptr : world.desired().group(world.desired().group_of(node));
  const Json* object = world.snapshot().nodes.find(node);
  if (node.empty()) {
    explained.applied.push_back({"node", "none", "it is not scheduled yet; see explain node once it is"});
    return;
  }
  explained.applied.push_back({"node", node, group == nullptr ? "in no group" : "group " + group->name});
  if (group == nullptr || object == nullptr) {
    verdict.causes.push_back(
        {Level::kProblem, fmt::format("no policy gives node {} a cache", node), "cistern-operator explain node " + node});
    explained.verdicts.push_back(std::move(verdict));
    return;
  }
  std::set<std::string> missing;
  bool any = false;
  for (const char* list : {"initContainers", "containers"}) {
    for (const auto& container : at(pod, {"spec", list})) {
      const auto registry = registry_of(text(container, {"image"}));
      const bool named = std::ranges::any_of(group->effective.settings.registries, [&](const auto& one) { return one.name == registry; });
      any = any || named;
      if (!named) missing.insert(registry);
    }
  }
  if (group->effective.settings.registries.empty()) missing.clear();  // which is said below
  for (const auto& registry : missing) {
    verdict.causes.push_back({Level::kWarning,
                              fmt::format("policy {} names no registry {}: its images are pulled past the cache", group->policy, registry),
                              "add it to spec.images.registries", !any});
  }
  for (const auto& causes : {runtime_causes(world, *group, *object), agent_causes(world, *group, node)}) {
    for (auto cause : causes) {
      cause.why = fmt::format("node {}: {}", node, cause.why);
      verdict.causes.push_back(std::move(cause));
    }
  }
  explained.verdicts.push_back(std::move(verdict));
}

// Of a pod into which nothing was put.
void add_why_nothing(const World& world, const Ownership& owned, const admission::Told* told, const Json& pod,
                     const admission::Decision& now, Causes& causes) {
  const auto ns = kube::metadata(pod, "namespace");
  if (owned.policy == nullptr && !plan::is_never_injected(ns, world.ns())) {
    causes.push_back(no_owner(world, "namespaceSelector", &model::Spec::namespace_selector));
  } else if (!now.why_not.empty()) {
    causes.push_back({Level::kProblem, now.why_not, todo_for(world, owned, told, ns)});
  } else {
    add_webhook(world, owned.labels, labels_of(pod), causes);
    causes.push_back({Level::kProblem,
                      fmt::format("nothing was put into it when it was created; a new pod would get {}", fmt::join(now.variables, ", ")),
                      "make the pod anew (kubectl rollout restart of what it belongs to); if that does not help: cistern-operator doctor"});
  }
}

// Whether this pod asks the cache for Go modules; it was decided as it was created.
Causes go_causes(const World& world, const Ownership& owned, const admission::Told* told, const Json& pod, const admission::Decision& now) {
  Causes causes;
  const auto by = kube::annotation(pod, admission::kInjectedAnnotation);
  if (by.empty()) {
    add_why_nothing(world, owned, told, pod, now, causes);
  } else if (!world.rules().ready.contains(by)) {
    causes.push_back({Level::kProblem, fmt::format("no agent of policy {}, which it was told of, is ready behind its Service", by),
                      fmt::format("kubectl -n {} get pods -l cistern.dev/policy={}", world.ns(), by)});
  } else if (by != now.policy) {
    causes.push_back(
        {Level::kWarning,
         fmt::format("it was created under policy {}; its namespace belongs to {} now", by, now.policy.empty() ? "none" : now.policy),
         "make the pod anew", false});
  } else if (told != nullptr && told->variables.contains("GOPROXY") && !any_asks_cache(pod, *told)) {
    causes.push_back({Level::kWarning,
                      "no container has what new pods get as GOPROXY: they set it themselves, or the policy has changed since",
                      "take GOPROXY out of the pod, or set injection.overwrite; then make the pod anew"});
  }
  for (const auto& note : now.notes) {
    causes.push_back({Level::kWarning, note,
                      note.find("itself") == std::string::npos ? "" : "take it out of the pod, or set injection.overwrite", false});
  }
  return causes;
}

}  // namespace

Result<Explained> explain_namespace(const World& world, const std::string& name, const Wanted& wanted) {
  if (auto readable = check_readable(world); !readable) return fail(readable.error());
  if (world.snapshot().namespaces.find(name) == nullptr) {
    return fail(ErrorCode::kNotFound, "there is no namespace {}; kubectl get namespaces lists them", name);
  }
  const auto owned = ownership(world, name);
  Explained explained{"namespace",
                      name,
                      owned.facts,
                      {},
                      {},
                      {{"Go modules", {}, unread_of({&world.snapshot().webhooks, &world.snapshot().endpoint_slices})}},
                      world.snapshot().unread()};
  auto& causes = explained.verdicts.front().causes;
  const Json pod{{"metadata", Json::object()}, {"spec", {{"containers", Json::array({{{"name", "any"}}})}}}};
  const auto decision = admission::decide(world.rules(), name, pod);
  if (owned.policy == nullptr) {
    const bool never = plan::is_never_injected(name, world.ns());
    causes.push_back(never ? Cause{Level::kProblem, decision.why_not, todo_for(world, owned, nullptr, name)}
                           : no_owner(world, "namespaceSelector", &model::Spec::namespace_selector));
    return explained;
  }
  explained.policy.push_back(profile_fact(owned, ""));
  const auto choice = chosen(world, owned, "");
  auto settings = settings_of(*owned.policy, "", choice.profile, kOfPods, wanted);
  if (!settings) return fail(settings.error());
  explained.settings = std::move(*settings);
  if (decision.why_not.empty()) add_told(owned, *choice.told, explained.applied);
  for (const auto& [map, data] : admission::environment_maps(world.rules(), name)) {
    if (!world.snapshot().environment_maps.known()) break;
    const bool there = world.snapshot().environment_maps.find(map, name) != nullptr;
    explained.applied.push_back(
        {"ConfigMap", map, there ? "for containers with envFrom" : "missing: containers with envFrom are not told"});
  }
  if (!decision.why_not.empty()) causes.push_back({Level::kProblem, decision.why_not, todo_for(world, owned, choice.told, name)});
  for (const auto& note : decision.notes) causes.push_back({Level::kWarning, note, "", false});
  // Under OptIn, or where it is opted out, single pods may be labelled; they say so themselves.
  add_webhook(world, owned.labels, {}, causes);
  return explained;
}

Result<Explained> explain_pod(const World& world, const Json& pod, const Wanted& wanted) {
  if (auto readable = check_readable(world); !readable) return fail(readable.error());
  const auto ns = kube::metadata(pod, "namespace");
  const auto annotation = kube::annotation(pod, admission::kProfileAnnotation);
  const auto owned = ownership(world, ns);
  Explained explained{"pod", kube::key_of(pod).to_string(), owned.facts, {}, {}, {}, world.snapshot().unread()};
  const auto by = kube::annotation(pod, admission::kInjectedAnnotation);
  explained.applied.push_back(
      {"injected", by.empty() ? "nothing" : kube::annotation(pod, admission::kInjectedVariablesAnnotation),
       by.empty() ? "no annotation " + std::string(admission::kInjectedAnnotation) : "when it was created, from policy " + by});
  admission::Decision now;
  const admission::Told* told = nullptr;
  if (owned.policy == nullptr) {
    now = admission::decide(world.rules(), ns, pod);
  } else {
    explained.policy.push_back(profile_fact(owned, annotation));
    const auto choice = chosen(world, owned, annotation);
    told = choice.told;
    auto settings = settings_of(*owned.policy, "", choice.profile, kOfPods, wanted);
    if (!settings) return fail(settings.error());
    explained.settings = std::move(*settings);
    add_variables(pod, *choice.told, explained.applied);
    now = admission::decide(world.rules(), ns, without_ours(pod, *choice.told));
  }
  explained.applied.push_back({"a new pod",
                               now.variables.empty() ? "would get nothing" : fmt::format("would get {}", fmt::join(now.variables, ", ")),
                               now.why_not});
  explained.verdicts.push_back({"Go modules", go_causes(world, owned, told, pod, now), unread_of({&world.snapshot().endpoint_slices})});
  explain_images(world, pod, explained);
  return explained;
}

}  // namespace cistern::inspect
