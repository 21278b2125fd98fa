// One attempt: from the upstream's own URL over challenges and redirects to the answer that counts.
#pragma once

#include <optional>
#include <string>

#include "cache-agent/upstream/network_upstream.hpp"

namespace cistern::upstream {

struct Answer {
  Hop hop;            // its head has arrived
  bool away = false;  // it came from another origin than the upstream's
  Timing timing;      // the connection to the upstream itself; the first bytes of all hops
};

// A failure, and what it says about asking again.
struct Refusal {
  Error error;
  bool transient = false;
  bool stale_connection = false;
};

class Chain {
 public:
  Chain(Network network, std::shared_ptr<State> state, Settings settings, Kind kind);

  // Follows once. The chain must outlive the coroutine.
  Awaitable<tl::expected<Answer, Refusal>> follow(Ask ask);

 private:
  struct Position;

  HopRequest request(const Ask& ask, const Position& position) const;
  std::string known_authorization(const std::string& scope, Position& position);
  Awaitable<Result<bool>> authorize(std::string scope, Position* position, http::Headers challenge_headers);
  Awaitable<Result<std::string>> token(TokenRequest request, Scope limit);
  Awaitable<Result<Token>> fetch_token(TokenRequest request, Scope limit);
  Result<bool> redirect(Position& position, const Head& head) const;
  std::string label(const Origin& origin) const;
  std::string token_key(const TokenRequest& request) const;

  Network network_;
  std::shared_ptr<State> state_;
  Settings settings_;
  Kind kind_;
};

}  // namespace cistern::upstream
