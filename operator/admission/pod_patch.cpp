#include "operator/admission/pod_patch.hpp"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace cistern::admission {
namespace {

// A key as a part of a JSON pointer (RFC 6901).
std::string pointer_part(std::string_view key) {
  std::string part;
  for (const char c : key) {
    if (c == '~') {
      part += "~0";
    } else if (c == '/') {
      part += "~1";
    } else {
      part += c;
    }
  }
  return part;
}

Json operation(const char* op, std::string path, Json value) {
  return {{"op", op}, {"path", std::move(path)}, {"value", std::move(value)}};
}

Json variable(std::string_view name, const std::string& value) { return {{"name", name}, {"value", value}}; }

// A list of a container's; empty if it is missing. Null if it is something that we do not understand.
const Json* list(const Json& container, std::string_view key) {
  static const Json kEmpty = Json::array();
  const auto* found = member(container, key);
  if (found == nullptr) return &kEmpty;
  return found->is_array() ? found : nullptr;
}

class Patcher {
 public:
  Patcher(const Told& told, const std::string& map, Decision& decision) : told_(told), map_(map), decision_(decision) {}

  // `path` is the container's.
  void container(const Json& container, const std::string& path) {
    const auto* env = list(container, "env");
    const auto* from = list(container, "envFrom");
    if (!container.is_object() || env == nullptr || from == nullptr) return;
    const auto name = text(&container, "name");
    own_proxy_ = !told_.overwrite && has_own_proxy(*env);
    if (from->empty() || told_.overwrite) {
      put_into_env(*env, name, path, member(container, "env") != nullptr);
    } else {
      put_into_env_from(*env, *from, name, path);
    }
  }

  void annotations(const Json& pod) {
    if (put_.empty()) return;
    const auto* metadata = member(pod, "metadata");
    const auto* known = metadata == nullptr ? nullptr : member(*metadata, "annotations");
    if (metadata == nullptr) add("/metadata", Json::object());
    if (known == nullptr) add("/metadata/annotations", Json::object());
    annotate(kInjectedAnnotation, decision_.policy);
    if (!decision_.profile.empty()) annotate(kInjectedProfileAnnotation, decision_.profile);
    decision_.variables.assign(put_.begin(), put_.end());
    // What an earlier look at this pod has put in stays told.
    auto before = text(known, kInjectedVariablesAnnotation);
    while (!before.empty()) {
      const auto comma = std::min(before.find(','), before.size());
      if (told_.variables.contains(before.substr(0, comma))) put_.insert(before.substr(0, comma));
      before.remove_prefix(std::min(comma + 1, before.size()));
    }
    annotate(kInjectedVariablesAnnotation, fmt::format("{}", fmt::join(put_, ",")));
  }

 private:
  void add(std::string path, Json value) { decision_.patch.push_back(operation("add", std::move(path), std::move(value))); }

  void annotate(std::string_view key, std::string value) { add("/metadata/annotations/" + pointer_part(key), std::move(value)); }

  void note_own(std::string_view container, std::string_view name) {
    decision_.notes.push_back(fmt::format("container {} sets {} itself", container, name));
  }

  // Whether `env` has the variable. With `overwrite` it gets our value there.
  bool is_set(const Json& env, std::string_view container, const std::string& path, std::string_view name, const std::string& value) {
    bool set = false;
    bool other = false;
    for (std::size_t i = 0; i < env.size(); ++i) {
      if (text(&env[i], "name") != name) continue;
      set = true;
      const auto ours = variable(name, value);
      if (env[i] == ours) continue;
      other = true;
      if (!told_.overwrite) continue;
      decision_.patch.push_back(operation("replace", fmt::format("{}/env/{}", path, i), ours));
      put_.insert(name);
    }
    if (other && !told_.overwrite) note_own(container, name);
    return set;
  }

  // Where `go` asks somebody else, what is said of modules and checksums beside GOPROXY is about him: GONOPROXY=none of ours would lead its
  // private modules to a proxy that is not to see them.
  bool has_own_proxy(const Json& env) const {
    const auto ours = told_.variables.find("GOPROXY");
    if (ours == told_.variables.end()) return false;
    return std::ranges::any_of(
        env, [&](const Json& one) { return text(&one, "name") == "GOPROXY" && one != variable("GOPROXY", ours->second); });
  }
  bool is_left_out(std::string_view name) const { return own_proxy_ && told_.go.contains(name); }

  void put_into_env(const Json& env, std::string_view container, const std::string& path, bool has_env) {
    Json missing = Json::array();
    for (const auto& [name, value] : told_.variables) {
      if (is_set(env, container, path, name, value) || is_left_out(name)) continue;
      missing.push_back(variable(name, value));
      put_.insert(name);
    }
    if (missing.empty()) return;
    if (!has_env) return add(path + "/env", std::move(missing));
    for (auto& one : missing) add(path + "/env/-", std::move(one));
  }

  void put_into_env_from(const Json& env, const Json& from, std::string_view container, const std::string& path) {
    std::set<std::string_view> missing;
    for (const auto& [name, value] : told_.variables) {
      if (!is_set(env, container, path, name, value)) missing.insert(name);
    }
    const bool referred = std::ranges::any_of(from, [&](const Json& source) {
      const auto* map = member(source, "configMapRef");
      return map != nullptr && text(map, "name") == map_;
    });
    if (missing.empty() || referred) return;
    if (own_proxy_) {  // the ConfigMap has all of them
      decision_.notes.push_back(fmt::format(
          "container {} has envFrom and a GOPROXY of its own: nothing is put into it; set in its env what it needs", container));
      return;
    }
    if (map_.empty()) {
      decision_.notes.push_back(
          fmt::format("container {} has envFrom, and the namespace has opted out: it has no ConfigMap for it", container));
      return;
    }
    add(path + "/envFrom/0", {{"configMapRef", {{"name", map_}, {"optional", true}}}});
    put_.insert(missing.begin(), missing.end());
  }

  const Told& told_;
  const std::string& map_;
  Decision& decision_;
  std::set<std::string_view> put_;
  bool own_proxy_ = false;  // of the container that is looked at
};

}  // namespace

const Json* member(const Json& json, std::string_view key) {
  if (!json.is_object()) return nullptr;
  const auto found = json.find(key);
  return found == json.end() || found->is_null() ? nullptr : &*found;
}

std::string_view text(const Json* json, std::string_view key) {
  const auto* found = json == nullptr ? nullptr : member(*json, key);
  return found != nullptr && found->is_string() ? std::string_view(found->get_ref<const std::string&>()) : std::string_view();
}

void patch_pod(const Json& pod, const Told& told, const std::string& map, Decision& decision) {
  const auto* spec = member(pod, "spec");
  if (spec == nullptr) return;
  Patcher patcher(told, map, decision);
  for (const char* kind : {"initContainers", "containers"}) {
    const auto* containers = list(*spec, kind);
    for (std::size_t i = 0; containers != nullptr && i < containers->size(); ++i) {
      patcher.container((*containers)[i], fmt::format("/spec/{}/{}", kind, i));
    }
  }
  patcher.annotations(pod);
}

}  // namespace cistern::admission
