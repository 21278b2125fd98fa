// When to ask again. Pure functions.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "base/clock.hpp"

namespace cistern::upstream {

// Retry-After (RFC 9110 §10.2.3): seconds, or a date, which is taken relative to `now`; never negative.
std::optional<std::chrono::seconds> parse_retry_after(std::string_view value, WallTime now);

// 5xx that say "not now": asking again may help.
bool is_transient_status(unsigned status);

// Full jitter: a random time between 0 and base · 2^attempt (attempt 0 is the first that failed), at most 5 s. `random` in [0, 1).
std::chrono::milliseconds backoff(unsigned attempt, std::chrono::milliseconds base, double random);

}  // namespace cistern::upstream
