#include "cache-agent/ecosystem/go/policy.hpp"

#include <algorithm>

#include "base/glob.hpp"

namespace cistern::go {
namespace {

// "*" stands for "whatever comes": it names no module.
bool is_catch_all(std::string_view pattern) {
  while (pattern.ends_with('/')) pattern.remove_suffix(1);
  return !pattern.empty() && pattern.find_first_not_of('*') == std::string_view::npos;
}

bool serves(const config::Upstream& upstream, std::string_view module, bool private_module) {
  return std::any_of(upstream.match.begin(), upstream.match.end(), [&](const std::string& pattern) {
    return !(private_module && is_catch_all(pattern)) && matches_module_pattern(pattern, module);
  });
}

Failure denied(std::string_view module, std::string_view pattern) {
  return fail(ErrorCode::kForbidden, "{} is denied by the mirror policy (go.deny: \"{}\"); ask those who keep the policy", module, pattern);
}

}  // namespace

Access access(const config::GoView& view, std::string_view module) {
  Access result;
  const auto deny =
      std::find_if(view.deny.begin(), view.deny.end(), [&](const std::string& pattern) { return matches_module_pattern(pattern, module); });
  result.private_module = matches_any_module_pattern(view.private_patterns, module);
  result.exempt = result.private_module || matches_any_module_pattern(view.sumdb.exempt, module);
  result.verify = view.sumdb.mode == config::SumDbMode::kVerify && !result.exempt;
  if (deny != view.deny.end()) {
    result.denied = true;
    result.deny_pattern = *deny;
    return result;
  }
  for (std::size_t index = 0; index < view.upstreams.size(); ++index) {
    if (serves(view.upstreams[index], module, result.private_module)) result.upstreams.push_back(index);
  }
  return result;
}

Result<Access> allow(const config::GoView& view, const Request& request) {
  auto result = access(view, request.module);
  if (result.denied) return denied(request.module, result.deny_pattern);
  if (!result.upstreams.empty()) return result;
  if (result.private_module) {
    return fail(
        ErrorCode::kNotFound,
        "not found: {} is private (go.private) and no upstream of the mirror policy names it in its `match`; name one there, or fetch it "
        "directly with GONOPROXY",
        request.module);
  }
  return fail(ErrorCode::kNotFound, "not found: no upstream of the mirror policy is asked for {}; see `match` in go.upstreams",
              request.module);
}

Result<void> allow_sumdb(const config::GoView& view, const Request& request) {
  if (view.sumdb.mode == config::SumDbMode::kOff) {
    return fail(ErrorCode::kNotFound, "not found: the mirror policy has the checksum database off (go.sumDB.mode)");
  }
  if (request.sumdb != view.sumdb.name) {
    return fail(ErrorCode::kNotFound, "not found: the mirror policy's checksum database is {}, not {}", view.sumdb.name, request.sumdb);
  }
  if (request.kind != Request::kSumDbLookup) return {};
  const auto result = access(view, request.module);
  if (result.denied) return denied(request.module, result.deny_pattern);
  if (result.exempt) {
    return fail(ErrorCode::kNotFound,
                "not found: {} is private or exempt (go.private, go.sumDB.exempt) and not looked up; add it to GONOSUMDB", request.module);
  }
  return {};
}

}  // namespace cistern::go
