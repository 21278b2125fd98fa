#include "cache-agent/ecosystem/oci/manifest.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace cistern::oci {
namespace {

TEST(OciDescriptor, SurvivesItsJson) {
  const Descriptor descriptor{Sha256::of("x"), "application/vnd.oci.image.index.v1+json", 1234567890123};
  EXPECT_EQ(descriptor_from_json(to_json(descriptor)).value(), descriptor);
}

TEST(OciDescriptor, AnythingElseIsCorrupt) {
  const auto digest = Sha256::of("x").oci();
  for (const auto& text :
       std::vector<std::string>{std::string(), std::string("{}"), std::string("[]"), "{\"digest\":\"" + digest + "\"}",
                                "{\"digest\":\"" + digest + "\",\"size\":-1}", "{\"digest\":\"" + digest + "\",\"size\":1.5}",
                                std::string("{\"digest\":\"sha256:x\",\"size\":1}"), std::string("{\"digest\":7,\"size\":1}")}) {
    const auto descriptor = descriptor_from_json(text);
    ASSERT_FALSE(descriptor) << text;
    EXPECT_EQ(descriptor.error().code, ErrorCode::kCorrupt);
  }
}

TEST(OciMediaType, TheUpstreamsIsKept) {
  EXPECT_EQ(manifest_media_type("application/vnd.oci.image.manifest.v1+json", "{\"mediaType\":\"a/b\"}"),
            "application/vnd.oci.image.manifest.v1+json");
  EXPECT_EQ(manifest_media_type("application/vnd.docker.distribution.manifest.v1+prettyjws; charset=utf-8", "{}"),
            "application/vnd.docker.distribution.manifest.v1+prettyjws; charset=utf-8");
}

TEST(OciMediaType, TheBodyTellsWhereTheUpstreamDoesNot) {
  for (const char* content_type :
       {"", "text/plain", "text/plain; charset=utf-8", "application/octet-stream", "application/json", "Text/Plain"}) {
    EXPECT_EQ(manifest_media_type(content_type, R"({"mediaType":"application/vnd.docker.distribution.manifest.v2+json"})"),
              "application/vnd.docker.distribution.manifest.v2+json")
        << content_type;
  }
  EXPECT_EQ(manifest_media_type("", R"({"manifests":[]})"), "application/vnd.oci.image.index.v1+json");
  EXPECT_EQ(manifest_media_type("", R"({"config":{},"layers":[]})"), "application/vnd.oci.image.manifest.v1+json");
  EXPECT_EQ(manifest_media_type("", R"({"fsLayers":[],"signatures":[]})"), "application/vnd.docker.distribution.manifest.v1+prettyjws");
}

TEST(OciMediaType, NothingUnfitForAHeaderComesFromABody) {
  EXPECT_EQ(manifest_media_type("", "{\"mediaType\":\"a/b\\r\\nX: y\"}"), "application/json");
  EXPECT_EQ(manifest_media_type("", "{\"mediaType\":7}"), "application/json");
  EXPECT_EQ(manifest_media_type("", "no json"), "application/json");
}

}  // namespace
}  // namespace cistern::oci
