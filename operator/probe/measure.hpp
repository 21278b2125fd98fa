// Asks upstreams and takes the time. Blocks; one thread.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "config/model.hpp"
#include "operator/probe/targets.hpp"

namespace cistern::probe {

struct Measured {
  Target target;
  unsigned asked = 0;
  unsigned answered = 0;
  // Medians of what was answered; TCP and TLS, from the request to the first byte, and all of it with looking up the name. `jitter`: mean
  // deviation of the time to the first byte.
  std::optional<std::chrono::microseconds> connect, first_byte, total, jitter;
  std::optional<double> throughput;  // bytes a second
  std::string error;                 // the last one; no secrets. Also why there is no throughput
};

struct Plan {
  unsigned count = 5;
  config::Timeouts timeouts;
  std::chrono::milliseconds longest_download = std::chrono::seconds(10);
  std::size_t largest_download = 8 << 20;
};

// Told before each round of an upstream, to show how far it is.
using Progress = std::function<void(std::size_t done, std::size_t of, const std::string& upstream)>;

// One after the other in rounds, so that a slow minute is everybody's. Any answer below 500 is one. A new connection each time; proxies as
// the environment says.
std::vector<Measured> measure(const std::vector<Target>& targets, const Plan& plan, const Progress& progress);

}  // namespace cistern::probe
