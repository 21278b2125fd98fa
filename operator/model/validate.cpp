#include "operator/model/validate.hpp"

#include <algorithm>
#include <array>
#include <set>

#include <re2/re2.h>

#include "operator/model/describe.hpp"
#include "operator/model/merge.hpp"

namespace cistern::model {
namespace {

using yaml::Node;
using yaml::Problems;

bool all_of(std::string_view text, std::string_view extra) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || extra.find(c) != std::string_view::npos;
  });
}

// Checks settings that come from the node `spec`. `context` tells under which overlay, and is empty for the policy itself.
class Validator {
 public:
  Validator(const Node& spec, std::string context, Problems& problems) : spec_(spec), context_(std::move(context)), problems_(problems) {}

  void check(Settings& settings) {
    check_go(settings.go);
    std::set<std::string> names;
    for (std::size_t i = 0; i < settings.registries.size(); ++i) {
      const std::string path = fmt::format("images.registries[{}]", i);
      const Registry& registry = settings.registries[i];
      if (!registry.name.empty() && !names.insert(registry.name).second) {
        add(path + ".name", fmt::format("the registry {} is there already; put its upstreams into one entry", registry.name));
      }
      check_registry(path, settings.registries[i], settings.node_config);
    }
    for (const auto& [name, value] : settings.injection.env) {
      if (name.empty() || !all_of(name, "_") || (name[0] >= '0' && name[0] <= '9')) {
        add(yaml::join_path("injection.env", name), "is not a variable's name; write letters, digits and '_'");
      }
    }
    check_resources(settings.agent.resources);
  }

 private:
  void add(std::string_view path, std::string_view message) {
    problems_.add(yaml::nearest_node(spec_, path).position, fmt::format("spec.{}", path),
                  context_.empty() ? std::string(message) : fmt::format("{} ({})", message, context_));
  }

  // By the API server these would be refused only once the rest of the policy is in force.
  void check_resources(const Json& resources) {
    static const RE2 kQuantity(R"(([0-9]+\.?[0-9]*|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?)");
    for (const char* kind : {"requests", "limits"}) {
      const auto found = resources.find(kind);
      if (found == resources.end()) continue;
      const auto path = fmt::format("agent.resources.{}", kind);
      if (!found->is_object()) {
        add(path, "is not a map of quantities, such as {cpu: 100m, memory: 64Mi}");
        continue;
      }
      for (const auto& [name, value] : found->items()) {
        const auto text = value.is_string() ? value.get<std::string>() : value.dump();
        if (!RE2::FullMatch(text, kQuantity))
          add(yaml::join_path(path, name), fmt::format("\"{}\" is not a quantity; write one such as 100m or 64Mi", text));
      }
    }
  }

  void check_go(Go& go) {
    check_upstream_names("go", go.upstreams);
    if (go.allow_direct && !go.deny.empty()) {
      add("go.allowDirect", "would let `go` fetch what deny refuses; remove deny, or set allowDirect to false");
    }
    if (auto completed = config::complete_sumdb(go.sumdb); !completed) add("go.sumDB.key", completed.error().message);
  }

  void check_registry(const std::string& path, Registry& registry, const NodeConfig& node_config) {
    if (registry.upstreams.empty()) add(path + ".upstreams", "must name at least one upstream");
    check_upstream_names(path, registry.upstreams);
    for (std::size_t i = 0; i < registry.upstreams.size(); ++i) {
      const auto& rewrites = registry.upstreams[i].rewrite;
      for (std::size_t k = 0; k < rewrites.size(); ++k) {
        if (auto checked = config::check_rewrite(rewrites[k]); !checked) {
          add(fmt::format("{}.upstreams[{}].rewrite[{}].replacement", path, i, k), checked.error().message);
        }
      }
    }
    if (!registry.fallback_to_source && node_config.mode == NodeConfigMode::kOff) {
      add(path + ".fallbackToSource",
          "false needs the runtime's configuration, which nodeConfig.mode Off leaves alone; write true, or nodeConfig.mode Apply");
    }
  }

  template <class Upstream>
  void check_upstream_names(const std::string& owner, std::vector<Upstream>& upstreams) {
    std::set<std::string> names;
    for (std::size_t i = 0; i < upstreams.size(); ++i) {
      std::string& name = upstreams[i].name;
      name = config::upstream_name(name, upstreams[i].url);
      if (!name.empty() && !names.insert(name).second) {
        add(fmt::format("{}.upstreams[{}].name", owner, i),
            fmt::format("an upstream \"{}\" is in this list already; give each its own name", name));
      }
    }
  }

  const Node& spec_;
  std::string context_;
  Problems& problems_;
};

// An overlay by itself: the same fields, nothing required.
void check_overlay(const std::string& path, const Node& overlay, bool region, Problems& problems) {
  Settings scratch;
  yaml::read(overlay, path, problems, scratch, yaml::Completeness::kPartial);
  if (const Node* images = overlay.find("images")) {
    if (const Node* registries = images->find("registries"); registries != nullptr && registries->kind == Node::Kind::kList) {
      for (std::size_t i = 0; i < registries->children.size(); ++i) {
        const Node& registry = registries->children[i];
        if (registry.kind == Node::Kind::kMap && registry.find("name") == nullptr) {
          problems.add(registry.position, fmt::format("{}.images.registries[{}].name", path, i),
                       "is required, as registries are merged by name, and is missing");
        }
      }
    }
  }
  if (!region) return;
  static constexpr std::string_view kWhy =
      "can not be set in a region: at a pod's creation its node is unknown; set it in spec or in a profile";
  for (const auto field : kNotInRegions) {
    const auto dot = std::min(field.find('.'), field.size());
    const Node* node = overlay.find(field.substr(0, dot));
    if (node != nullptr && dot < field.size()) node = node->find(field.substr(dot + 1));
    if (node != nullptr) problems.add(node->position, fmt::format("{}.{}", path, field), kWhy);
  }
}

void check_overlays(const Policy& policy, std::string_view kind, const std::map<std::string, Node>& overlays, Problems& problems) {
  for (const auto& [name, overlay] : overlays) {
    const std::string path = yaml::join_path(fmt::format("spec.{}", kind), name);
    const bool region = kind == "regions";
    if (auto checked = region ? config::check_name(name) : config::check_label(name); !checked) {
      problems.add(overlay.position, path, checked.error().message);
    }
    Problems own;
    check_overlay(path, overlay, region, own);
    if (!own.empty()) {
      problems.append(own);
      continue;
    }
    // What it makes of the policy.
    Effective changed = effective(policy, region ? name : "", region ? "" : name, own);
    validate(changed.settings, changed.written, fmt::format("with {} {}", region ? "region" : "profile", name), own);
    problems.append(own);
  }
}

}  // namespace

void validate(Policy& policy, Problems& problems) {
  Problems own;
  validate(policy.spec.settings, policy.source, "", own);
  problems.append(own);
  // Overlays on a policy that is itself wrong would repeat what is wrong with it.
  if (!problems.empty()) return;
  check_overlays(policy, "regions", policy.spec.regions, problems);
  check_overlays(policy, "profiles", policy.spec.profiles, problems);
}

void validate(Settings& settings, const Node& spec, const std::string& context, Problems& problems) {
  Validator(spec, context, problems).check(settings);
}

Result<void> check_object_name(const std::string& name) {
  const bool lower = std::none_of(name.begin(), name.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
  const auto edge = [](char c) { return c != '-' && c != '.'; };
  if (!name.empty() && name.size() <= 253 && lower && all_of(name, "-.") && edge(name.front()) && edge(name.back()) &&
      name.find("..") == std::string::npos)
    return {};
  return fail(ErrorCode::kInvalid, "\"{}\" is not a name; write lower-case letters, digits, '-' and '.', as in \"default\"", name);
}

Result<void> check_policy_name(const std::string& name) {
  if (name.size() > kLongestPolicyName) {
    return fail(ErrorCode::kInvalid,
                "\"{}\" is too long; what is made for a policy is labelled with its name, which has at most {} characters", name,
                kLongestPolicyName);
  }
  return check_object_name(name);
}

Result<void> check_timestamp(const std::string& text) {
  static constexpr std::string_view kShape = "dddd-dd-ddTdd:dd:ddZ";
  bool fits = text.size() == kShape.size();
  for (std::size_t i = 0; fits && i < kShape.size(); ++i) {
    fits = kShape[i] == 'd' ? text[i] >= '0' && text[i] <= '9' : text[i] == kShape[i];
  }
  if (fits) return {};
  return fail(ErrorCode::kInvalid, "\"{}\" is not a time; write one such as \"2025-01-31T12:00:00Z\"", text);
}

Result<void> check_label_key(const std::string& key) {
  if (!key.empty() && key.size() <= 317 && all_of(key, "-_./") && std::count(key.begin(), key.end(), '/') <= 1) return {};
  return fail(ErrorCode::kInvalid, "\"{}\" is not a label's key; write one such as \"topology.kubernetes.io/region\"", key);
}

Result<void> check_label_value(const std::string& value) {
  if (value.size() <= 63 && all_of(value, "-_.")) return {};
  return fail(ErrorCode::kInvalid, "\"{}\" is not a label's value; write letters, digits and -_. (at most 63)", value);
}

Result<void> check_selector_operator(const std::string& op) {
  static constexpr std::array<std::string_view, 4> kOperators = {"In", "NotIn", "Exists", "DoesNotExist"};
  if (std::find(kOperators.begin(), kOperators.end(), op) != kOperators.end()) return {};
  return fail(ErrorCode::kInvalid, "\"{}\" is not known here; write {}", op, fmt::join(kOperators, " or "));
}

Result<void> check_absolute_path(const std::string& path) {
  if (path.size() > 1 && path[0] == '/' && path.find("/../") == std::string::npos && !path.ends_with("/..")) return {};
  return fail(ErrorCode::kInvalid, "\"{}\" is not an absolute path of a folder; write one such as \"/var/lib/cistern\"", path);
}

Result<void> check_max_unavailable(const Json& value) {
  if (value.is_string() ? parse_percent(value.get<std::string>()).has_value()
                        : value.is_number_integer() && value.get<std::int64_t>() >= 0) {
    return {};
  }
  return fail(ErrorCode::kInvalid, "{} is neither a number of nodes nor a percentage; write 2 or \"10%\"", value.dump());
}

Result<void> check_object(const Json& value) {
  if (value.is_object()) return {};
  return fail(ErrorCode::kInvalid, "must be a map, not {}", value.dump());
}

Result<void> check_list(const Json& value) {
  if (value.is_array()) return {};
  return fail(ErrorCode::kInvalid, "must be a list, not {}", value.dump());
}

}  // namespace cistern::model
