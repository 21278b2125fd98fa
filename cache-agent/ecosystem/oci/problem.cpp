#include "cache-agent/ecosystem/oci/problem.hpp"

#include <utility>

#include <nlohmann/json.hpp>

namespace cistern::oci {
namespace {

std::string_view unknown(Kind kind) {
  switch (kind) {
    case Kind::kManifestByTag:
    case Kind::kManifestByDigest:
    case Kind::kReferrers: return "MANIFEST_UNKNOWN";
    case Kind::kBlob: return "BLOB_UNKNOWN";
    case Kind::kTagsList:
    case Kind::kBase:
    case Kind::kOther: break;
  }
  return "NAME_UNKNOWN";
}

}  // namespace

Problem problem_of(Error error, Kind kind) {
  std::string_view code = "UNKNOWN";  // "an unknown error": the upstream's, the disk's, ours
  switch (error.code) {
    case ErrorCode::kNotFound:
    case ErrorCode::kGone: code = unknown(kind); break;
    case ErrorCode::kForbidden: code = "DENIED"; break;
    case ErrorCode::kTooManyRequests: code = "TOOMANYREQUESTS"; break;
    case ErrorCode::kInvalid: code = kind == Kind::kOther ? "UNSUPPORTED" : kind == Kind::kBlob ? "DIGEST_INVALID" : "NAME_INVALID"; break;
    case ErrorCode::kCorrupt: code = kind == Kind::kBlob ? "DIGEST_INVALID" : "MANIFEST_INVALID"; break;
    case ErrorCode::kConflict:
    case ErrorCode::kTimeout:
    case ErrorCode::kUpstream:
    case ErrorCode::kUnavailable:
    case ErrorCode::kNoSpace:
    case ErrorCode::kIo:
    case ErrorCode::kCancelled:
    case ErrorCode::kInternal: break;
  }
  return Problem{std::move(error), code};
}

std::string error_json(std::string_view code, std::string_view message) {
  const nlohmann::json document = {{"errors", {{{"code", code}, {"message", message}}}}};
  return document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace cistern::oci
