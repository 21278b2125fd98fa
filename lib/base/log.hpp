// Logging set-up. The log goes to standard error, one line an event, as logfmt-like text: time, level, message with key=value
// pairs. Whoever logs uses spdlog directly; nothing logged may hold a secret.
#pragma once

#include <string_view>

#include "base/error.hpp"

namespace cistern {

// Called once, by main. `level`: trace, debug, info, warn, error, off; anything else is kInvalid.
Result<void> set_up_logging(std::string_view program, std::string_view level);

}  // namespace cistern
