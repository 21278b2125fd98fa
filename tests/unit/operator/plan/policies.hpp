// Policies in short, for tests.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "operator/model/parse.hpp"

namespace cistern::plan::test {

// A policy with `metadata` and `spec` in flow style.
inline std::string policy(const std::string& metadata, const std::string& spec) {
  return "apiVersion: cistern.dev/v1alpha1\nkind: MirrorPolicy\nmetadata: {" + metadata + "}\nspec: {" + spec + "}\n---\n";
}

inline std::vector<model::Policy> policies_of(const std::string& text) {
  auto policies = model::parse_policies(text, "p.yaml");
  EXPECT_TRUE(policies) << policies.error().message;
  return policies ? std::move(*policies) : std::vector<model::Policy>{};
}

}  // namespace cistern::plan::test
