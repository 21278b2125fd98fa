#include "base/error.hpp"

#include <cerrno>
#include <system_error>

namespace cistern {

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalid: return "invalid";
    case ErrorCode::kNotFound: return "not-found";
    case ErrorCode::kGone: return "gone";
    case ErrorCode::kConflict: return "conflict";
    case ErrorCode::kForbidden: return "forbidden";
    case ErrorCode::kTooManyRequests: return "too-many-requests";
    case ErrorCode::kTimeout: return "timeout";
    case ErrorCode::kUpstream: return "upstream";
    case ErrorCode::kUnavailable: return "unavailable";
    case ErrorCode::kCorrupt: return "corrupt";
    case ErrorCode::kNoSpace: return "no-space";
    case ErrorCode::kIo: return "io";
    case ErrorCode::kCancelled: return "cancelled";
    case ErrorCode::kInternal: return "internal";
  }
  return "internal";
}

Error Error::in(std::string_view context) const { return Error{code, fmt::format("{}: {}", context, message), retry_after}; }

Error system_error(int error_number, std::string_view what) {
  const bool full = error_number == ENOSPC || error_number == EDQUOT;
  return Error{full ? ErrorCode::kNoSpace : ErrorCode::kIo, fmt::format("{}: {}", what, std::generic_category().message(error_number)),
               std::nullopt};
}

}  // namespace cistern
