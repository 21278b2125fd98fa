// Patterns of the policy, compiled once. Immutable after make(), so any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "config/model.hpp"

namespace re2 {
class RE2;
}

namespace cistern::oci {

// A registry's name for a repository → an upstream's.
class Rewriter {
 public:
  // kInvalid for a pattern that is not RE2, or a replacement that names a group the pattern does not have.
  static Result<Rewriter> make(const std::vector<config::Rewrite>& rules);
  // The first pattern that matches has its match replaced; a repository that none matches stays as it is. kInvalid if the outcome is no
  // repository name.
  Result<std::string> apply(std::string_view repository) const;

 private:
  std::vector<std::pair<std::shared_ptr<const re2::RE2>, std::string>> rules_;
};

// Tags that never move (`immutableTags`): a pattern must match the whole tag.
class TagMatcher {
 public:
  static Result<TagMatcher> make(const std::vector<std::string>& patterns);
  bool matches(std::string_view tag) const;

 private:
  std::vector<std::shared_ptr<const re2::RE2>> patterns_;
};

}  // namespace cistern::oci
