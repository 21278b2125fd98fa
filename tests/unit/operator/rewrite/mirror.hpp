// The mirror that these tests rewrite to.
#pragma once

#include "operator/rewrite/reference.hpp"

namespace cistern::rewrite::test {

inline const Mirror& mirror() {
  static const Mirror known{"127.0.0.1:5050", {"docker.io", "quay.io", "registry.k8s.io", "registry.corp.example:5000"}};
  return known;
}

}  // namespace cistern::rewrite::test
