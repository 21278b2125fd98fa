// An Upstream on the network: a chain of exchanges (challenge, redirects, the answer), and the judgement over it (retries, breaker).
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "cache-agent/upstream/auth.hpp"
#include "cache-agent/upstream/breaker.hpp"
#include "cache-agent/upstream/canary.hpp"
#include "cache-agent/upstream/client.hpp"
#include "cache-agent/upstream/speed.hpp"
#include "cache-agent/upstream/tokens.hpp"

namespace cistern::upstream {

// What is remembered of an upstream while its configuration stays the same, across reloads. Thread-safe.
struct State {
  State(const Clock& clock, config::Upstream configuration_)
      : configuration(std::move(configuration_)), breaker(clock), speed(clock), tokens(clock) {
    if (configuration.rollout) canary.emplace(clock, configuration.rollout->percent);
  }

  const config::Upstream configuration;
  Breaker breaker;
  Speed speed;
  std::optional<Canary> canary;
  Tokens tokens;

  std::mutex mutex;
  std::map<std::string, TokenRequest> token_requests;  // by the scope asked with: how the last challenge was answered
  bool basic = false;                                  // it has asked for Basic credentials
};

// The surroundings that all upstreams of a client have in common.
struct Network {
  std::shared_ptr<Loop> loop;
  const Clock* clock;
  Observer* observer;
  std::shared_ptr<const Options> options;
};

enum class Kind { kUpstream, kPeer };

std::shared_ptr<Upstream> make_network_upstream(Network network, std::shared_ptr<State> state, const Settings& settings, Kind kind);

}  // namespace cistern::upstream
