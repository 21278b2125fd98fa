#include "cache-agent/ecosystem/oci/rewrite.hpp"

#include <re2/re2.h>

#include "cache-agent/ecosystem/oci/reference.hpp"

namespace cistern::oci {
namespace {

Result<std::shared_ptr<const re2::RE2>> compile(const std::string& pattern) {
  re2::RE2::Options options;
  options.set_log_errors(false);
  auto compiled = std::make_shared<const re2::RE2>(pattern, options);
  if (!compiled->ok()) return fail(ErrorCode::kInvalid, "\"{}\" is not a regular expression (RE2): {}", pattern, compiled->error());
  return compiled;
}

}  // namespace

Result<Rewriter> Rewriter::make(const std::vector<config::Rewrite>& rules) {
  Rewriter rewriter;
  for (const auto& rule : rules) {
    auto compiled = compile(rule.pattern);
    if (!compiled) return fail(compiled.error());
    std::string why;
    if (!(*compiled)->CheckRewriteString(rule.replacement, &why)) {
      return fail(ErrorCode::kInvalid, "\"{}\" is not a replacement for \"{}\": {}", rule.replacement, rule.pattern, why);
    }
    rewriter.rules_.emplace_back(std::move(*compiled), rule.replacement);
  }
  return rewriter;
}

Result<std::string> Rewriter::apply(std::string_view repository) const {
  std::string name(repository);
  for (const auto& [pattern, replacement] : rules_) {
    if (!re2::RE2::Replace(&name, *pattern, replacement)) continue;
    if (!is_repository(name))
      return fail(ErrorCode::kInvalid, "the rewrite of {} gives \"{}\", which is no repository name", repository, name);
    break;
  }
  return name;
}

Result<TagMatcher> TagMatcher::make(const std::vector<std::string>& patterns) {
  TagMatcher matcher;
  for (const auto& pattern : patterns) {
    auto compiled = compile(pattern);
    if (!compiled) return fail(compiled.error());
    matcher.patterns_.push_back(std::move(*compiled));
  }
  return matcher;
}

bool TagMatcher::matches(std::string_view tag) const {
  for (const auto& pattern : patterns_) {
    if (re2::RE2::FullMatch(re2::StringPiece(tag.data(), tag.size()), *pattern)) return true;
  }
  return false;
}

}  // namespace cistern::oci
