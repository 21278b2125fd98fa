// Challenges and tokens.
#include "base/encoding.hpp"
#include "tests/fakes/scripted_upstream/scripted_upstream.hpp"

namespace cistern::fakes {
namespace {

std::string basic(const std::string& username, const std::string& password) { return "Basic " + to_base64(username + ":" + password); }

}  // namespace

void ScriptedUpstream::require_bearer(const std::string& prefix, BearerAuth auth) {
  const std::lock_guard lock(mutex_);
  guards_.push_back({prefix, false, std::move(auth)});
}

void ScriptedUpstream::require_basic(const std::string& prefix, const std::string& username, const std::string& password) {
  const std::lock_guard lock(mutex_);
  guards_.push_back({prefix, true, {.username = username, .password = password}});
}

void ScriptedUpstream::expire_tokens() {
  const std::lock_guard lock(mutex_);
  tokens_.clear();
}

// With mutex_ held.
std::optional<Reply> ScriptedUpstream::challenge(const Asked& asked) {
  for (const auto& guard : guards_) {
    if (asked.target.rfind(guard.prefix, 0) != 0) continue;
    const auto shown = asked.header("Authorization");
    if (guard.basic) {
      if (shown == basic(guard.auth.username, guard.auth.password)) return std::nullopt;
      return Reply{.status = 401, .headers = {{"WWW-Authenticate", "Basic realm=\"scripted\""}}};
    }
    if (guard.auth.accept && shown.rfind("Bearer ", 0) == 0) {
      const auto token = tokens_.find(shown.substr(7));
      if (token != tokens_.end() && std::chrono::steady_clock::now() < token->second) return std::nullopt;
    }
    const auto realm = guard.auth.realm.empty() ? url() + "/token" : guard.auth.realm;
    return Reply{.status = 401,
                 .headers = {{"WWW-Authenticate", "Bearer realm=\"" + realm + "\",service=\"scripted\",scope=\"repository:any:pull\""},
                             {"Content-Type", "application/json"}},
                 .body = R"({"errors":[{"code":"UNAUTHORIZED"}]})"};
  }
  return std::nullopt;
}

// With mutex_ held.
Reply ScriptedUpstream::token(const Asked& asked) {
  const BearerAuth* auth = nullptr;
  for (const auto& guard : guards_) {
    if (!guard.basic) auth = &guard.auth;
  }
  if (auth == nullptr) return Reply{.status = 404};
  if (!auth->username.empty() && asked.header("Authorization") != basic(auth->username, auth->password)) return Reply{.status = 401};
  const auto token = "token-" + std::to_string(++tokens_given_);
  tokens_[token] = std::chrono::steady_clock::now() + std::chrono::seconds(auth->expires_in.value_or(60));
  std::string document = "{\"token\":\"" + token + "\"";
  if (auth->expires_in) document += ",\"expires_in\":" + std::to_string(*auth->expires_in);
  return Reply{.headers = {{"Content-Type", "application/json"}}, .body = document + "}"};
}

}  // namespace cistern::fakes
