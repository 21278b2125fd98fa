// Names of what belongs to a policy and to a group of nodes. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "operator/model/policy.hpp"

namespace cistern::plan {

// A policy's name where that is a DNS label of at most 40 characters and nothing else of ours has that name; else shortened, with a hash.
std::string short_name(const std::string& policy);

// What groups are called under these policies: "default", "default-cn-prod". A group without region and profile has the policy's short
// name. With them, a name by which another policy, region or profile could be meant as well (policy a-b, region c; policy a, region b-c)
// gets a hash, as does one that is too long or no DNS label. It does not depend on nodes.
class GroupNames {
 public:
  explicit GroupNames(const std::vector<model::Policy>& policies);
  std::string name(const std::string& policy, const std::string& region, const std::string& profile) const;

 private:
  std::map<std::string, unsigned> readings_;  // name → how many groups could have it
};

}  // namespace cistern::plan
