#include "operator/node/config.hpp"

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/digest.hpp"

namespace cistern::node {
namespace {

using nlohmann::json;

constexpr std::size_t kHashDigits = 16;
constexpr std::array kModes = {std::pair{Mode::kApply, "Apply"}, std::pair{Mode::kReport, "Report"}, std::pair{Mode::kOff, "Off"}};
constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]";

json without_hash(const Config& config) {
  json registries = json::array();
  for (const auto& registry : config.registries) registries.push_back({{"name", registry.name}, {"strict", registry.strict}});
  return {{"group", config.group},
          {"policy", config.policy},
          {"mode", to_string(config.mode)},
          {"runtimes", config.runtimes},
          {"mirror", config.mirror},
          {"listen", config.listen},
          {"registries", std::move(registries)},
          {"storage", {{"path", config.storage_path}, {"onDelete", config.keep_storage ? "Keep" : "Delete"}}},
          {"configureContainerd", config.configure_containerd}};
}

// Fields of one JSON object, each of which must be asked for.
class Fields {
 public:
  Fields(const json& object, std::string path) : object_(object), path_(std::move(path)) {
    if (!object.is_object()) problem_ = fmt::format("{}must be an object", path_.empty() ? "it " : path_ + " ");
  }

  std::string text(const char* name, bool may_be_empty = false) {
    const auto* value = find(name, true);
    if (value == nullptr) return {};
    if (!value->is_string()) return wrong(name, "must be a string");
    auto text = value->get<std::string>();
    if (text.empty() && !may_be_empty) return wrong(name, "must not be empty");
    return text;
  }
  bool flag(const char* name, bool required) {
    const auto* value = find(name, required);
    if (value == nullptr) return false;
    if (!value->is_boolean()) wrong(name, "must be true or false");
    return value->is_boolean() && value->get<bool>();
  }
  const json& list(const char* name) {
    static const json kNone = json::array();
    const auto* value = find(name, true);
    if (value != nullptr && !value->is_array()) wrong(name, "must be a list");
    return value != nullptr && value->is_array() ? *value : kNone;
  }
  const json& child(const char* name) {
    static const json kNone = json::object();
    const auto* value = find(name, true);
    return value != nullptr ? *value : kNone;
  }
  std::string wrong(const std::string& name, std::string_view what) {
    if (problem_.empty()) problem_ = fmt::format("{}{} {}", path_.empty() ? "" : path_ + ".", name, what);
    return {};
  }
  // The first; empty: none. What is there and was not asked for is a mistake, or from a newer operator whose wish would be passed over.
  std::string problem() {
    if (problem_.empty()) {
      for (const auto& item : object_.items()) {
        if (std::ranges::find(known_, item.key()) == known_.end()) wrong(item.key(), "is not known to this version");
      }
    }
    return problem_;
  }
  // Of something within this object.
  void adopt(const std::string& problem) {
    if (problem_.empty()) problem_ = problem;
  }

 private:
  const json* find(const char* name, bool required) {
    known_.emplace_back(name);
    if (!object_.is_object()) return nullptr;
    const auto found = object_.find(name);
    if (found != object_.end()) return &*found;
    if (required) wrong(name, "is missing");
    return nullptr;
  }

  const json& object_;
  const std::string path_;
  std::vector<std::string> known_;
  std::string problem_;
};

bool is_plain(std::string_view text) {
  return !text.empty() && text != "." && text != ".." && text.find_first_not_of(kPlain) == std::string_view::npos;
}

void read_registries(Fields& fields, Config& config) {
  std::size_t index = 0;
  for (const auto& item : fields.list("registries")) {
    Fields registry(item, fmt::format("registries[{}]", index++));
    RegistryConfig read{registry.text("name"), registry.flag("strict", true)};
    // It becomes a folder's name and part of TOML.
    if (!is_plain(read.name)) registry.wrong("name", "must be a registry's HOST or HOST:PORT");
    const auto same = [&](const RegistryConfig& other) { return other.name == read.name; };
    if (std::ranges::any_of(config.registries, same)) registry.wrong("name", "is there twice");
    fields.adopt(registry.problem());
    config.registries.push_back(std::move(read));
  }
}

void read_storage(Fields& fields, Config& config) {
  Fields storage(fields.child("storage"), "storage");
  config.storage_path = storage.text("path");
  const std::filesystem::path path = config.storage_path;
  // It is emptied at the end: never a folder near the root, never by a detour.
  if (!path.is_absolute() || path.lexically_normal() != path || std::distance(path.begin(), path.end()) < 3) {
    storage.wrong("path", "must be absolute, plain and at least two folders deep, as /var/lib/cistern/default");
  }
  const auto on_delete = storage.text("onDelete");
  if (on_delete != "Keep" && on_delete != "Delete") storage.wrong("onDelete", "must be Delete or Keep");
  config.keep_storage = on_delete == "Keep";
  fields.adopt(storage.problem());
}

}  // namespace

std::string lease_name(const std::string& node) { return "cistern-node-" + node; }

std::string_view to_string(Mode mode) {
  return std::ranges::find(kModes, mode, [](const auto& known) { return known.first; })->second;
}

std::string hash_of(const Config& config) { return Sha256::of(without_hash(config).dump()).hex().substr(0, kHashDigits); }

json to_json(const Config& config) {
  json object = without_hash(config);
  object["hash"] = hash_of(config);
  return object;
}

std::string to_text(const Config& config) { return to_json(config).dump(); }

Result<Config> parse_config(std::string_view text) {
  const auto object = json::parse(text, nullptr, false);
  if (object.is_discarded()) return fail(ErrorCode::kInvalid, "{}: it is no JSON", kConfigKey);
  Fields fields(object, "");
  Config config;
  config.group = fields.text("group");
  config.policy = fields.text("policy");
  const auto mode = fields.text("mode");
  const auto known = std::ranges::find(kModes, mode, [](const auto& entry) { return std::string_view(entry.second); });
  if (known == kModes.end()) fields.wrong("mode", "must be Apply, Report or Off");
  if (known != kModes.end()) config.mode = known->first;
  for (const auto& runtime : fields.list("runtimes")) {
    if (runtime != "containerd" && runtime != "crio") fields.wrong("runtimes", "may hold containerd and crio");
    if (runtime.is_string()) config.runtimes.push_back(runtime.get<std::string>());
  }
  config.mirror = fields.text("mirror");
  config.listen = fields.text("listen");
  if (!is_plain(config.listen)) fields.wrong("listen", "must be HOST:PORT");
  if (config.mirror != "http://" + config.listen) fields.wrong("mirror", "must be http:// and what `listen` says");
  read_registries(fields, config);
  read_storage(fields, config);
  config.configure_containerd = fields.flag("configureContainerd", false);
  config.hash = fields.text("hash");
  if (const auto problem = fields.problem(); !problem.empty()) return fail(ErrorCode::kInvalid, "{}: {}", kConfigKey, problem);
  if (config.hash != hash_of(config)) {
    return fail(ErrorCode::kInvalid, "{}: hash {} is not that of the content ({}); it was not written by the operator", kConfigKey,
                config.hash, hash_of(config));
  }
  return config;
}

}  // namespace cistern::node
