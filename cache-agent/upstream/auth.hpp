// Challenges and tokens, as pure functions: RFC 9110 §11, and the token protocol of registries
// (distribution.github.io/distribution/spec/auth/token).
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "config/model.hpp"
#include "cache-agent/upstream/url.hpp"
#include "http/message.hpp"

namespace cistern::upstream {

struct Challenge {
  std::string scheme;                             // in lower case
  std::map<std::string, std::string> parameters;  // names in lower case
};

// Of every WWW-Authenticate field, in order. What can not be understood is left out.
std::vector<Challenge> parse_challenges(const http::Headers& headers);

// What to ask a token service for.
struct TokenRequest {
  std::string realm;
  std::string service;
  std::string scope;
  bool with_credentials = false;

  std::string url() const;  // realm?service=…&scope=…
};

// The request that answers a Bearer challenge; the scope is the caller's, else the challenge's. kForbidden, saying why, for a realm that is
// no URL or would take an https upstream's user to http. Credentials go only to the upstream's host (on any port) and to `auth_hosts`
// (HOST, or HOST:PORT); other realms are asked anonymously.
Result<TokenRequest> token_request(const Challenge& challenge, const std::string& scope, const Origin& upstream,
                                   const config::Upstream& configuration);

struct Token {
  std::string value;
  SteadyTime until;  // a little before it expires
};

// {"token" or "access_token": …, "expires_in": seconds}; 60 s where missing, from `received` on. kUpstream for anything else.
Result<Token> parse_token(std::string_view body, SteadyTime received);

// "Basic …"
std::string basic(const config::Credentials& credentials);

}  // namespace cistern::upstream
