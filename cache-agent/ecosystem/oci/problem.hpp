// Errors in the distribution specification's words ("Error codes"). Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"

namespace cistern::oci {

enum class Kind {
  kBase,              // /v2/
  kManifestByTag,     // /v2/<name>/manifests/<tag>
  kManifestByDigest,  // /v2/<name>/manifests/<digest>
  kBlob,              // /v2/<name>/blobs/<digest>
  kTagsList,          // /v2/<name>/tags/list
  kReferrers,         // /v2/<name>/referrers/<digest>
  kOther,             // uploads, the catalogue, extensions: 405
};

struct Problem {
  Error error;
  std::string_view code;  // "NAME_INVALID"; static
};

// What an error while answering a request of this kind is called: kNotFound of a blob is BLOB_UNKNOWN, of a manifest MANIFEST_UNKNOWN …
Problem problem_of(Error error, Kind kind);

// {"errors":[{"code":"NAME_UNKNOWN","message":"…"}]}
std::string error_json(std::string_view code, std::string_view message);
inline std::string error_json(const Problem& problem) { return error_json(problem.code, problem.error.message); }

}  // namespace cistern::oci
