// What can go wrong, as a value. Every function that can fail after start-up returns Result<T>; exceptions exist only at
// the edges of libraries and are caught there.
//
// An Error is a code, which the program acts on, and a message, which a person acts on: it says what failed, with which
// input, and where it helps what to do. It never holds a secret: no credentials, no token, no URL with user information.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <type_traits>
#include <utility>
#include <fmt/format.h>

namespace cistern {

enum class ErrorCode {
  kInvalid,          // the request or the input is malformed
  kNotFound,         // it does not exist (404)
  kGone,             // it does not exist any more (410)
  kConflict,         // somebody else has changed it meanwhile (409)
  kForbidden,        // refused by policy, or by the upstream (403, 401)
  kTooManyRequests,  // refused for now (429); retry_after may be set
  kTimeout,          // no answer in time (504)
  kUpstream,         // refused connection, reset, 5xx or nonsense from an upstream (502)
  kUnavailable,      // not now, by our own state: overload, no scratch space, breaker open (503)
  kCorrupt,          // bytes that are not what they claim to be
  kNoSpace,          // the disk or the quota is full
  kIo,               // the disk or the operating system failed
  kCancelled,        // nobody wants the result any more; not a failure
  kInternal,         // a bug
};

// "not-found", as logs and metrics name it.
std::string_view to_string(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
  std::optional<std::chrono::seconds> retry_after = std::nullopt;

  // The same error with "context: " before its message.
  Error in(std::string_view context) const;
};

// Default-constructed success, for Result<void>.
template <class T = void>
using Result = tl::expected<T, Error>;

using Failure = tl::unexpected<Error>;

// return fail(ErrorCode::kNotFound, "no module {} at {}", module, version);
template <class... Args>
Failure fail(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  return Failure(Error{code, fmt::format(format, std::forward<Args>(args)...), std::nullopt});
}
inline Failure fail(Error error) { return Failure(std::move(error)); }

// "open /x: Permission denied": an operating-system error with kIo, or kNoSpace for ENOSPC and EDQUOT.
Error system_error(int error_number, std::string_view what);

}  // namespace cistern
