#include "cache-agent/ecosystem/oci/request.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cache-agent/ecosystem/oci/reference.hpp"

namespace cistern::oci {
namespace {

const std::string kHex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const std::string kDigest = "sha256:" + kHex;

std::vector<config::Registry> registries(const std::vector<std::string>& names) {
  std::vector<config::Registry> result;
  for (const auto& name : names) {
    config::Registry registry;
    registry.name = name;
    result.push_back(registry);
  }
  return result;
}

const std::vector<config::Registry>& three() {
  static const auto kThree = registries({"docker.io", "quay.io", "localhost:5000"});
  return kThree;
}

Request read(std::string_view path, std::string_view query = "", const std::vector<config::Registry>& configured = three()) {
  auto request = parse(path, query, configured);
  EXPECT_TRUE(request) << path << ": " << (request ? "" : request.error().error.message);
  return request.value_or(Request{});
}

Problem refused(std::string_view path, std::string_view query = "", const std::vector<config::Registry>& configured = three()) {
  auto request = parse(path, query, configured);
  EXPECT_FALSE(request) << path;
  return request ? Problem{} : request.error();
}

TEST(OciRequest, EveryEndpointIsRead) {
  EXPECT_EQ(read("/v2/").kind, Kind::kBase);
  EXPECT_EQ(read("/v2").kind, Kind::kBase);
  const auto tag = read("/v2/quay.io/org/app/manifests/v1.0");
  EXPECT_EQ(tag.kind, Kind::kManifestByTag);
  EXPECT_EQ(tag.registry, 1U);
  EXPECT_EQ(tag.repository, "org/app");
  EXPECT_EQ(tag.tag, "v1.0");
  EXPECT_EQ(tag.prefix, "quay.io");
  const auto manifest = read("/v2/quay.io/org/app/manifests/" + kDigest);
  EXPECT_EQ(manifest.kind, Kind::kManifestByDigest);
  EXPECT_EQ(manifest.digest.oci(), kDigest);
  EXPECT_EQ(manifest.tag, "");
  EXPECT_EQ(read("/v2/quay.io/org/app/blobs/" + kDigest).kind, Kind::kBlob);
  EXPECT_EQ(read("/v2/quay.io/org/app/tags/list").kind, Kind::kTagsList);
  EXPECT_EQ(read("/v2/quay.io/org/app/referrers/" + kDigest).kind, Kind::kReferrers);
}

TEST(OciRequest, WhatIsNotTheReadOnlyApiIsOther) {
  for (const char* path : {"/v2/quay.io/org/app/blobs/uploads/", "/v2/quay.io/org/app/blobs/uploads",
                           "/v2/unknown.example/org/app/blobs/uploads/some-id", "/v2/_catalog", "/v2/_oci/ext/discover"}) {
    EXPECT_EQ(read(path).kind, Kind::kOther) << path;
  }
}

TEST(OciRequest, PathsWithoutMeaningAreNotFound) {
  for (const char* path : {"/v2/x", "/v2/x/y", "/v2/x/y/z", "/v2/manifests/latest", "/v2/org/app/tags", "/v2/org/app/tags/other", "/v2//",
                           "/v1/x", "/v2x/a/manifests/b", "/v2/org/app/manifests/latest/"}) {
    EXPECT_EQ(refused(path).error.code, ErrorCode::kNotFound) << path;
  }
}

TEST(OciRequest, ContainerdNamesTheRegistryByNs) {
  const auto request = read("/v2/org/app/manifests/latest", "ns=quay.io");
  EXPECT_EQ(request.registry, 1U);
  EXPECT_EQ(request.repository, "org/app");
  EXPECT_EQ(request.ns, "quay.io");
  EXPECT_EQ(request.prefix, "");
  EXPECT_EQ(read("/v2/app/manifests/latest", "ns=localhost%3A5000").registry, 2U);
  EXPECT_EQ(read("/v2/app/manifests/latest", "ns=localhost:5000").registry, 2U);
}

TEST(OciRequest, APortMayStandBehindALine) {
  const auto request = read("/v2/localhost_5000/org/app/manifests/latest");
  EXPECT_EQ(request.registry, 2U);
  EXPECT_EQ(request.repository, "org/app");
  EXPECT_EQ(request.prefix, "localhost_5000");
  EXPECT_EQ(refused("/v2/quay.io_443/app/manifests/latest").error.code, ErrorCode::kForbidden);
  const auto one = registries({"docker.io"});
  EXPECT_EQ(read("/v2/team_5000/app/manifests/latest", "", one).repository, "team_5000/app") << "no host's name";
}

TEST(OciRequest, NsBeatsThePath) {
  const auto request = read("/v2/quay.io/org/app/manifests/latest", "ns=localhost:5000");
  EXPECT_EQ(request.registry, 2U);
  EXPECT_EQ(request.repository, "quay.io/org/app");
  const auto twice = read("/v2/quay.io/org/app/manifests/latest", "ns=quay.io");
  EXPECT_EQ(twice.registry, 1U);
  EXPECT_EQ(twice.repository, "org/app");
}

TEST(OciRequest, TwoValuesOfNsAreRefused) {
  for (const char* query : {"ns=quay.io&ns=docker.io", "ns=quay.io&ns=quay.io", "ns=quay.io&n%73=docker.io", "ns="}) {
    const auto problem = refused("/v2/org/app/manifests/latest", query);
    EXPECT_EQ(problem.error.code, ErrorCode::kInvalid) << query;
    EXPECT_EQ(problem.code, "NAME_INVALID");
  }
}

TEST(OciRequest, ARegistryThatIsNotConfiguredIsForbidden) {
  EXPECT_EQ(refused("/v2/org/app/manifests/latest", "ns=evil.example").error.code, ErrorCode::kForbidden);
  EXPECT_EQ(refused("/v2/evil.example/org/app/manifests/latest").error.code, ErrorCode::kForbidden);
  EXPECT_EQ(refused("/v2/localhost/app/manifests/latest").error.code, ErrorCode::kForbidden);
  EXPECT_EQ(refused("/v2/quay.io:443/app/manifests/latest").error.code, ErrorCode::kForbidden);
  EXPECT_EQ(refused("/v2/evil.example/org/app/manifests/latest", "", registries({"quay.io"})).error.code, ErrorCode::kForbidden);
  EXPECT_EQ(refused("/v2/org/app/manifests/latest", "", {}).error.code, ErrorCode::kForbidden);
  EXPECT_EQ(refused("/v2/org/app/manifests/latest", "ns=evil.example").code, "DENIED");
}

TEST(OciRequest, WithOneRegistryNothingNeedsToNameIt) {
  const auto request = read("/v2/org/app/manifests/latest", "", registries({"quay.io"}));
  EXPECT_EQ(request.registry, 0U);
  EXPECT_EQ(request.repository, "org/app");
  EXPECT_EQ(request.prefix, "");
  EXPECT_EQ(read("/v2/app/manifests/latest", "", registries({"quay.io"})).repository, "app");
}

TEST(OciRequest, WithSeveralRegistriesOneMustBeNamed) {
  const auto problem = refused("/v2/org/app/manifests/latest");
  EXPECT_EQ(problem.error.code, ErrorCode::kForbidden);
  EXPECT_THAT(problem.error.message, testing::HasSubstr("ns="));
}

TEST(OciRequest, DockerHubHasItsOwnNames) {
  for (const auto& [path, query] :
       std::vector<std::pair<std::string, std::string>>{{"/v2/nginx/manifests/latest", "ns=docker.io"},
                                                        {"/v2/library/nginx/manifests/latest", "ns=docker.io"},
                                                        {"/v2/docker.io/nginx/manifests/latest", ""},
                                                        {"/v2/docker.io/library/nginx/manifests/latest", ""},
                                                        {"/v2/index.docker.io/nginx/manifests/latest", ""},
                                                        {"/v2/nginx/manifests/latest", "ns=registry-1.docker.io"},
                                                        {"/v2/docker.io/library/nginx/manifests/latest", "ns=docker.io"},
                                                        {"/v2/nginx/manifests/latest", "ns=Docker.IO"}}) {
    const auto request = read(path, query);
    EXPECT_EQ(request.registry, 0U) << path;
    EXPECT_EQ(request.repository, "library/nginx") << path << query;
  }
  EXPECT_EQ(read("/v2/nginx/manifests/latest", "ns=docker.io", registries({"registry-1.docker.io"})).repository, "library/nginx");
  EXPECT_EQ(read("/v2/nginx/manifests/latest", "ns=quay.io").repository, "nginx");
}

TEST(OciRequest, RepositoriesMayBeNamedLikeEndpoints) {
  EXPECT_EQ(read("/v2/quay.io/manifests/blobs/manifests/tags").repository, "manifests/blobs");
  EXPECT_EQ(read("/v2/quay.io/tags/list/tags/list").repository, "tags/list");
  EXPECT_EQ(read("/v2/quay.io/a/blobs/" + kDigest + "", "").repository, "a");
}

TEST(OciRequest, PercentEscapesAreDecodedOnce) {
  EXPECT_EQ(read("/v2/quay.io/org/app/blobs/sha256%3A" + kHex).digest.oci(), kDigest);
  EXPECT_EQ(read("/v2/quay.io/%6frg/app/manifests/latest").repository, "org/app");
  for (const char* path :
       {"/v2/quay.io/org%2Fapp/manifests/latest", "/v2/quay.io/%2e%2e/app/manifests/latest", "/v2/quay.io/org/app%252f/manifests/latest",
        "/v2/quay.io/org%00/manifests/latest", "/v2/quay.io/org%/manifests/latest", "/v2/quay.io/../app/manifests/latest"}) {
    EXPECT_EQ(refused(path).error.code, ErrorCode::kInvalid) << path;
    EXPECT_EQ(refused(path).code, "NAME_INVALID") << path;
  }
}

TEST(OciRequest, NamesTagsAndDigestsFollowTheSpecification) {
  EXPECT_EQ(refused("/v2/quay.io/Org/app/manifests/latest").code, "NAME_INVALID");
  EXPECT_EQ(refused("/v2/quay.io/org//app/manifests/latest").code, "NAME_INVALID");
  EXPECT_EQ(refused("/v2/quay.io/org/app/manifests/-x").code, "MANIFEST_INVALID");
  EXPECT_EQ(refused("/v2/quay.io/org/app/manifests/a%0Ab").code, "MANIFEST_INVALID");
  for (const auto& reference :
       std::vector<std::string>{"sha256:abc", "sha512:" + kHex + kHex, "sha256:" + std::string(64, 'E'), "md5:" + kHex, ":"}) {
    EXPECT_EQ(refused("/v2/quay.io/org/app/manifests/" + reference).code, "DIGEST_INVALID") << reference;
    EXPECT_EQ(refused("/v2/quay.io/org/app/blobs/" + reference).code, "DIGEST_INVALID") << reference;
    EXPECT_EQ(refused("/v2/quay.io/org/app/referrers/" + reference).code, "DIGEST_INVALID") << reference;
  }
  EXPECT_EQ(refused("/v2/quay.io/org/app/blobs/latest").code, "DIGEST_INVALID");
}

TEST(OciRequest, PagesKeepTheirQueryWithoutNs) {
  EXPECT_EQ(read("/v2/org/app/tags/list", "n=10&ns=quay.io&last=v1%2B2").query, "n=10&last=v1%2B2");
  EXPECT_EQ(read("/v2/quay.io/org/app/referrers/" + kDigest, "artifactType=application%2Fx").query, "artifactType=application%2Fx");
  EXPECT_EQ(read("/v2/org/app/manifests/latest", "ns=quay.io&x=1").query, "");
}

TEST(OciRequest, TheUpstreamIsAskedByItsNameForTheRepository) {
  EXPECT_EQ(read("/v2/quay.io/org/app/manifests/v1").upstream_target("mirror/app"), "/v2/mirror/app/manifests/v1");
  EXPECT_EQ(read("/v2/quay.io/org/app/manifests/" + kDigest).upstream_target("org/app"), "/v2/org/app/manifests/" + kDigest);
  EXPECT_EQ(read("/v2/quay.io/org/app/blobs/" + kDigest).upstream_target("org/app"), "/v2/org/app/blobs/" + kDigest);
  EXPECT_EQ(read("/v2/org/app/tags/list", "ns=quay.io&n=5").upstream_target("org/app"), "/v2/org/app/tags/list?n=5");
  EXPECT_EQ(pull_scope("org/app"), "repository:org/app:pull");
}

TEST(OciReference, RepositoryGrammar) {
  for (const auto& name : std::vector<std::string>{"a", "library/nginx", "a.b", "a_b", "a__b", "a-b", "a---b", "a/b/c/d", "0/1",
                                                   "gcr/google.com/x", std::string(255, 'a')}) {
    EXPECT_TRUE(is_repository(name)) << name;
  }
  for (const auto& name : std::vector<std::string>{"", "A", "a..b", "a___b", "a._b", ".a", "a.", "-a", "a-", "_a", "a_", "/a", "a/", "a//b",
                                                   "a b", "a:b", "a/../b", std::string(256, 'a')}) {
    EXPECT_FALSE(is_repository(name)) << name;
  }
}

TEST(OciReference, TagGrammar) {
  for (const auto& tag : std::vector<std::string>{"latest", "v1.0", "_x", "A", "1", "a-b.c_d", std::string(128, 'a')})
    EXPECT_TRUE(is_tag(tag)) << tag;
  for (const auto& tag : std::vector<std::string>{"", ".a", "-a", "a b", "a/b", "a:b", "a+b", std::string(129, 'a')})
    EXPECT_FALSE(is_tag(tag)) << tag;
}

TEST(OciRequest, AnEmptyElementIsNoPartOfAName) {
  std::vector<config::Registry> registries(1);
  registries[0].name = "docker.io";
  for (const auto* path : {"/v2/docker.io//nginx/manifests/latest", "/v2//nginx/manifests/latest", "/v2/a//b/manifests/latest"}) {
    EXPECT_FALSE(parse(path, "", registries)) << path;
  }
}

}  // namespace
}  // namespace cistern::oci
