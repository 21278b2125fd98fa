// Each effective value and where it came from. Pure.
#pragma once

#include <string>
#include <vector>

#include "operator/model/merge.hpp"

namespace cistern::plan {

struct Explanation {
  std::string path;    // "spec.go.upstreams[0].url"
  std::string value;   // as YAML would have it, on one line
  std::string origin;  // "policy.yaml:12", or "default"
};

// Every value at and below each of `fields` ("go.sumDB", with or without "spec." before it); all of them if there are none. A field that
// does not exist yields nothing.
std::vector<Explanation> explain(const model::Effective& effective, const std::vector<std::string>& fields);

}  // namespace cistern::plan
