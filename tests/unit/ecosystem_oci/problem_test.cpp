#include "cache-agent/ecosystem/oci/problem.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace cistern::oci {
namespace {

std::string_view code_of(ErrorCode error, Kind kind) { return problem_of(Error{error, "x", std::nullopt}, kind).code; }

TEST(OciProblem, ErrorsAreNamedByWhatWasAskedFor) {
  EXPECT_EQ(code_of(ErrorCode::kNotFound, Kind::kBlob), "BLOB_UNKNOWN");
  EXPECT_EQ(code_of(ErrorCode::kNotFound, Kind::kManifestByTag), "MANIFEST_UNKNOWN");
  EXPECT_EQ(code_of(ErrorCode::kNotFound, Kind::kManifestByDigest), "MANIFEST_UNKNOWN");
  EXPECT_EQ(code_of(ErrorCode::kGone, Kind::kManifestByTag), "MANIFEST_UNKNOWN");
  EXPECT_EQ(code_of(ErrorCode::kNotFound, Kind::kTagsList), "NAME_UNKNOWN");
  EXPECT_EQ(code_of(ErrorCode::kForbidden, Kind::kBlob), "DENIED");
  EXPECT_EQ(code_of(ErrorCode::kTooManyRequests, Kind::kManifestByTag), "TOOMANYREQUESTS");
  EXPECT_EQ(code_of(ErrorCode::kInvalid, Kind::kOther), "UNSUPPORTED");
  EXPECT_EQ(code_of(ErrorCode::kTimeout, Kind::kBlob), "UNKNOWN");
}

TEST(OciProblem, TheBodyIsTheSpecifications) {
  EXPECT_EQ(error_json("NAME_UNKNOWN", "no \"x\""), R"({"errors":[{"code":"NAME_UNKNOWN","message":"no \"x\""}]})");
  EXPECT_FALSE(nlohmann::json::parse(error_json("DENIED", "bytes \xff"), nullptr, false).is_discarded());
}

}  // namespace
}  // namespace cistern::oci
