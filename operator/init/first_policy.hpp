// The policy that changes nothing but the distance. Pure.
#pragma once

#include <string>
#include <vector>

#include "operator/init/facts.hpp"

namespace cistern::init {

struct FirstPolicy {
  std::string yaml;                // valid by operator/model
  std::vector<std::string> notes;  // what a person should know; no credentials
};

FirstPolicy first_policy(const Facts& facts);

}  // namespace cistern::init
