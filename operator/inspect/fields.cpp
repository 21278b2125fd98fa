#include "operator/inspect/fields.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace cistern::inspect {
namespace {

const Json kNothing;

std::string requirement_in_words(const model::SelectorRequirement& requirement) {
  if (requirement.op == "Exists") return requirement.key;
  if (requirement.op == "DoesNotExist") return "!" + requirement.key;
  return fmt::format("{} {} ({})", requirement.key, requirement.op == "In" ? "in" : "notin", fmt::join(requirement.values, ", "));
}

}  // namespace

const Json& at(const Json& object, std::initializer_list<std::string_view> path) {
  const Json* place = &object;
  for (const auto key : path) {
    if (!place->is_object()) return kNothing;
    const auto found = place->find(key);
    if (found == place->end()) return kNothing;
    place = &*found;
  }
  return *place;
}

std::string text(const Json& object, std::initializer_list<std::string_view> path) {
  const Json& value = at(object, path);
  return value.is_string() ? value.get<std::string>() : std::string();
}

unsigned long number(const Json& object, std::initializer_list<std::string_view> path) {
  const Json& value = at(object, path);
  return value.is_number_unsigned() ? value.get<unsigned long>() : 0;
}

std::map<std::string, std::string> labels_of(const Json& object) {
  std::map<std::string, std::string> labels;
  const Json& all = at(object, {"metadata", "labels"});
  if (!all.is_object()) return labels;
  for (const auto& [key, value] : all.items()) {
    if (value.is_string()) labels[key] = value.get<std::string>();
  }
  return labels;
}

const Json& condition(const Json& object, std::string_view type) {
  for (const auto& one : at(object, {"status", "conditions"})) {
    if (text(one, {"type"}) == type) return one;
  }
  return kNothing;
}

model::LabelSelector selector_of(const Json& selector) {
  model::LabelSelector made;
  const Json& labels = at(selector, {"matchLabels"});
  if (labels.is_object()) {
    for (const auto& [key, value] : labels.items()) {
      if (value.is_string()) made.match_labels[key] = value.get<std::string>();
    }
  }
  for (const auto& one : at(selector, {"matchExpressions"})) {
    model::SelectorRequirement requirement{text(one, {"key"}), text(one, {"operator"}), {}};
    for (const auto& value : at(one, {"values"})) {
      if (value.is_string()) requirement.values.push_back(value.get<std::string>());
    }
    made.match_expressions.push_back(std::move(requirement));
  }
  return made;
}

std::string in_words(const model::LabelSelector& selector) {
  std::vector<std::string> parts;
  for (const auto& [key, value] : selector.match_labels) parts.push_back(fmt::format("{}={}", key, value));
  for (const auto& requirement : selector.match_expressions) parts.push_back(requirement_in_words(requirement));
  return parts.empty() ? "everything" : fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace cistern::inspect
