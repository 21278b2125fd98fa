#include "operator/plan/explain.hpp"

#include <algorithm>

#include "operator/model/describe.hpp"

namespace cistern::plan {
namespace {

using yaml::Json;
using yaml::Node;

// Walks the whole settings beside what was written; `written` is null where nothing was.
void walk(const Json& json, const Node* written, const std::string& path, std::vector<Explanation>& out) {
  const bool nested =
      json.is_object() ? !json.empty() : std::any_of(json.begin(), json.end(), [](const Json& item) { return item.is_object(); });
  if (!json.is_structured() || !nested) {
    std::string origin = written != nullptr ? written->position.to_string() : "default";
    out.push_back({path, json.dump(), origin.empty() ? "the API server" : std::move(origin)});
    return;
  }
  std::size_t index = 0;
  for (const auto& item : json.items()) {
    const Node* child = nullptr;
    if (json.is_object()) {
      child = written != nullptr ? written->find(item.key()) : nullptr;
      walk(item.value(), child, yaml::join_path(path, item.key()), out);
    } else {
      if (written != nullptr && index < written->children.size()) child = &written->children[index];
      walk(item.value(), child, yaml::join_path(path, index), out);
    }
    ++index;
  }
}

bool is_at_or_below(std::string_view path, std::string_view field) {
  return path.starts_with(field) && (path.size() == field.size() || path[field.size()] == '.' || path[field.size()] == '[');
}

}  // namespace

std::vector<Explanation> explain(const model::Effective& effective, const std::vector<std::string>& fields) {
  std::vector<Explanation> all;
  walk(yaml::write(effective.settings, yaml::Write::kAll), &effective.written, "spec", all);
  if (fields.empty()) return all;
  std::erase_if(all, [&](const Explanation& value) {
    return std::none_of(fields.begin(), fields.end(), [&](const std::string& field) {
      return is_at_or_below(value.path, field.starts_with("spec") ? field : "spec." + field);
    });
  });
  return all;
}

}  // namespace cistern::plan
