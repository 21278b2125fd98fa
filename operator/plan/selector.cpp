#include <algorithm>

#include "operator/plan/cluster.hpp"

namespace cistern::plan {
namespace {

bool fulfils(const model::SelectorRequirement& requirement, const std::map<std::string, std::string>& labels) {
  const auto label = labels.find(requirement.key);
  const bool there = label != labels.end();
  if (requirement.op == "Exists") return there;
  if (requirement.op == "DoesNotExist") return !there;
  const bool listed = there && std::find(requirement.values.begin(), requirement.values.end(), label->second) != requirement.values.end();
  return requirement.op == "In" ? listed : !listed;
}

}  // namespace

bool selects(const model::LabelSelector& selector, const std::map<std::string, std::string>& labels) {
  const auto has = [&](const auto& wanted) {
    const auto label = labels.find(wanted.first);
    return label != labels.end() && label->second == wanted.second;
  };
  return std::all_of(selector.match_labels.begin(), selector.match_labels.end(), has) &&
         std::all_of(selector.match_expressions.begin(), selector.match_expressions.end(),
                     [&](const auto& requirement) { return fulfils(requirement, labels); });
}

}  // namespace cistern::plan
