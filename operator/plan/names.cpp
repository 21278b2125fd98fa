#include "operator/plan/names.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/digest.hpp"

namespace cistern::plan {
namespace {

constexpr std::size_t kMaxName = 40;
constexpr std::size_t kHashDigits = 8;

// What the installation itself has as cistern-<name>, beside what policies make.
constexpr std::array<std::string_view, 3> kTaken = {"node", "operator", "webhook"};
// A group's headless Service is cistern-<group>-peers, a policy's Service cistern-<policy>.
constexpr std::string_view kPeers = "-peers";

bool may_be_in_label(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; }

std::string joined(const std::string& policy, const std::string& region, const std::string& profile) {
  std::string name = policy;
  for (const auto& part : {region, profile}) name += part.empty() ? "" : "-" + part;
  return name;
}

bool is_usable(const std::string& name) {
  return !name.empty() && name.size() <= kMaxName && name.front() != '-' && name.back() != '-' &&
         std::all_of(name.begin(), name.end(), may_be_in_label) && std::find(kTaken.begin(), kTaken.end(), name) == kTaken.end() &&
         !name.ends_with(kPeers);
}

std::string with_hash(const std::string& policy, const std::string& region, const std::string& profile) {
  std::string name = joined(policy, region, profile).substr(0, kMaxName - kHashDigits - 1);
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (!may_be_in_label(c)) c = '-';
  }
  while (name.ends_with('-')) name.pop_back();
  // No part can hold a line break.
  return name + "-" + Digest(Sha256::of(policy + "\n" + region + "\n" + profile)).hex().substr(0, kHashDigits);
}

}  // namespace

std::string short_name(const std::string& policy) { return is_usable(policy) ? policy : with_hash(policy, "", ""); }

GroupNames::GroupNames(const std::vector<model::Policy>& policies) {
  for (const auto& policy : policies) {
    const auto& name = policy.metadata.name;
    ++readings_[name];
    for (const auto& [region, overlay] : policy.spec.regions) {
      ++readings_[joined(name, region, "")];
      for (const auto& [profile, other] : policy.spec.profiles) ++readings_[joined(name, region, profile)];
    }
    for (const auto& [profile, overlay] : policy.spec.profiles) ++readings_[joined(name, "", profile)];
  }
}

std::string GroupNames::name(const std::string& policy, const std::string& region, const std::string& profile) const {
  if (region.empty() && profile.empty()) return short_name(policy);
  auto name = joined(policy, region, profile);
  const auto known = readings_.find(name);
  const bool unique = known != readings_.end() && known->second == 1;
  return unique && is_usable(name) ? name : with_hash(policy, region, profile);
}

}  // namespace cistern::plan
