// Tags, manifests, freshness.
#include "oci_fixture.hpp"

namespace cistern::conformance {
namespace {

class OciManifests : public OciTest {
 protected:
  const Image image = make_image({1000});
  const Image moved = make_image({1000}, 2);
  const std::string by_tag = manifest_target("team/app", "v1");
  const std::string by_digest = manifest_target("team/app", image.manifest.digest);
};

TEST_F(OciManifests, TheBaseIsAlwaysThere) {
  hub.go_down();
  start();
  const auto answer = get(agent->node(), "/v2/");
  EXPECT_EQ(answer.status, 200u);
  EXPECT_EQ(answer.header("Docker-Distribution-API-Version"), "registry/2.0");
}

TEST_F(OciManifests, Case1_AColdHeadOfATagCostsNoManifestGet) {
  publish(hub, "team/app", "v1", image);
  start();
  const auto answer = ask_head(by_tag);
  EXPECT_EQ(answer.status, 200u);
  EXPECT_EQ(answer.header("Docker-Content-Digest"), image.manifest.digest);
  EXPECT_EQ(answer.header("Content-Length"), std::to_string(image.manifest.bytes.size()));
  EXPECT_EQ(answer.header("Content-Type"), image.type);
  std::this_thread::sleep_for(milliseconds(200));
  EXPECT_EQ(hub.count("GET", by_tag) + hub.count("GET", by_digest), 0u);
  EXPECT_EQ(hub.count("HEAD", by_tag), 1u);
  EXPECT_EQ(ask_head(by_tag).status, 200u);
  EXPECT_EQ(hub.count(), 1u) << "the second one is answered here";
}

TEST_F(OciManifests, ContainerdsWayIsOneHeadAndOneGet) {
  publish(hub, "team/app", "v1", image);
  start();
  EXPECT_EQ(ask_head(by_tag).status, 200u);
  const auto answer = ask(by_digest);
  EXPECT_EQ(answer.body, image.manifest.bytes);
  EXPECT_EQ(hub.count(), 2u);
  EXPECT_EQ(cache_result(ask(by_digest)), "hit");
  EXPECT_EQ(hub.count(), 2u);
}

TEST_F(OciManifests, Case2_MediaTypesAndBytesAreKept) {
  const auto docker = make_image({10}, 3, kDockerManifestType);
  const auto index = make_index({{"amd64", image}, {"arm64", moved}});
  const auto list = make_index({{"amd64", docker}}, kDockerListType);
  struct Case {
    std::string tag;
    const Blob& blob;
    std::string type;
  };
  const Case cases[] = {{"oci", image.manifest, kManifestType},
                        {"docker", docker.manifest, kDockerManifestType},
                        {"index", index, kIndexType},
                        {"list", list, kDockerListType}};
  for (const auto& one : cases) {
    hub.on(manifest_target("team/app", one.tag), manifest_reply(one.blob, one.type));
    hub.on(manifest_target("team/app", one.blob.digest), manifest_reply(one.blob, one.type));
  }
  start();
  for (const auto& one : cases) {
    for (const auto& reference : {one.tag, one.blob.digest}) {
      for (int round = 0; round < 2; ++round) {
        const auto answer = ask(manifest_target("team/app", reference));
        EXPECT_EQ(answer.status, 200u) << one.type;
        EXPECT_EQ(answer.body, one.blob.bytes);
        EXPECT_EQ(answer.header("Content-Type"), one.type);
        EXPECT_EQ(answer.header("Docker-Content-Digest"), one.blob.digest);
        EXPECT_EQ(answer.header("Content-Length"), std::to_string(one.blob.bytes.size()));
        const auto headed = ask_head(manifest_target("team/app", reference));
        EXPECT_EQ(headed.header("Content-Type"), one.type);
        EXPECT_EQ(headed.header("Docker-Content-Digest"), one.blob.digest);
        EXPECT_EQ(headed.header("Content-Length"), std::to_string(one.blob.bytes.size()));
      }
    }
  }
}

TEST_F(OciManifests, ATagIsKeptForEachSetOfTypesThatAClientAccepts) {
  const auto index = make_index({{"amd64", image}});
  hub.on_prefix("/v2/team/app/manifests/", [&](const Asked& asked) {
    if (asked.path().ends_with(index.digest)) return manifest_reply(index, kIndexType);
    if (asked.path().ends_with(image.manifest.digest)) return manifest_reply(image.manifest, kManifestType);
    return asked.header("Accept").find(kIndexType) != std::string::npos ? manifest_reply(index, kIndexType)
                                                                        : manifest_reply(image.manifest, kManifestType);
  });
  start();
  const Fields modern{{"Accept", std::string(kIndexType) + ", " + kManifestType}};
  const Fields old{{"Accept", kManifestType}};
  EXPECT_EQ(ask(by_tag, modern).header("Docker-Content-Digest"), index.digest);
  EXPECT_EQ(ask(by_tag, old).header("Docker-Content-Digest"), image.manifest.digest);
  EXPECT_EQ(ask(by_tag, modern).header("Docker-Content-Digest"), index.digest);
}

TEST_F(OciManifests, Case10_AnErrorServesTheCachedTagStale) {
  publish(hub, "team/app", "v1", image);
  start();
  EXPECT_EQ(ask(by_tag).status, 200u);
  for (const unsigned status : {429u, 500u}) {
    std::this_thread::sleep_for(kPastTtl);
    hub.on(by_tag, Reply{.status = status, .headers = {{"Retry-After", "1"}}});
    const auto answer = ask(by_tag);
    EXPECT_EQ(answer.status, 200u) << status;
    EXPECT_EQ(answer.body, image.manifest.bytes);
    EXPECT_EQ(cache_result(answer), "stale");
  }
}

TEST_F(OciManifests, Case10_WithoutACachedTagTheErrorIsPassedOn) {
  hub.on(by_tag, Reply{.status = 429, .headers = {{"Retry-After", "5"}}});
  quay.on(by_tag, Reply{.status = 503});  // another one: an upstream that said "later" is left alone for that long
  start();
  const auto throttled = ask(by_tag);
  EXPECT_EQ(throttled.status, 429u);
  EXPECT_EQ(throttled.header("Retry-After"), "5");
  EXPECT_NE(throttled.body.find("\"errors\""), std::string::npos);
  EXPECT_EQ(ask(by_tag, {}, "quay.io").status, 502u);
}

TEST_F(OciManifests, Case11_AStallBeforeTheHeadIsAGatewayTimeout) {
  hub.on(by_tag, Reply{.silent = true});
  setup.timeouts = "{connect: 500ms, firstByte: 500ms, idle: 1s}";
  start();
  EXPECT_EQ(ask(by_tag).status, 504u);
}

TEST_F(OciManifests, Case16_AMovedTagIsSeenAfterItsTtl) {
  publish(hub, "team/app", "v1", image);
  start();
  EXPECT_EQ(ask(by_tag).header("Docker-Content-Digest"), image.manifest.digest);
  publish(hub, "team/app", "v1", moved);
  EXPECT_EQ(ask(by_tag).header("Docker-Content-Digest"), image.manifest.digest) << "still fresh";
  std::this_thread::sleep_for(kPastTtl);
  const auto answer = ask(by_tag);
  EXPECT_EQ(answer.header("Docker-Content-Digest"), moved.manifest.digest);
  EXPECT_EQ(answer.body, moved.manifest.bytes);
}

TEST_F(OciManifests, ATagThatHasNotMovedIsRevalidatedByHeadAlone) {
  publish(hub, "team/app", "v1", image);
  start();
  EXPECT_EQ(ask(by_tag).status, 200u);
  const auto gets = hub.count("GET", by_tag) + hub.count("GET", by_digest);
  const auto heads = hub.count("HEAD", by_tag);
  std::this_thread::sleep_for(kPastTtl);
  const auto answer = ask(by_tag);
  EXPECT_EQ(answer.body, image.manifest.bytes);
  EXPECT_EQ(hub.count("GET", by_tag) + hub.count("GET", by_digest), gets);
  EXPECT_EQ(hub.count("HEAD", by_tag), heads + 1);
}

TEST_F(OciManifests, AnImmutableTagIsNeverAskedForAgain) {
  publish(hub, "team/app", "v1", image);
  publish(hub, "team/app", "v1-dev", image);
  start(registry("docker.io", hub, "", "tagTTL: 2s, immutableTags: [\"v[0-9]+\"]"));
  EXPECT_EQ(ask(by_tag).status, 200u);
  EXPECT_EQ(ask(manifest_target("team/app", "v1-dev")).status, 200u);
  std::this_thread::sleep_for(kPastTtl);
  hub.forget();
  EXPECT_EQ(ask(by_tag).status, 200u);
  EXPECT_EQ(hub.count(), 0u);
  EXPECT_EQ(ask(manifest_target("team/app", "v1-dev")).status, 200u);
  EXPECT_EQ(hub.count(), 1u) << "a pattern matches the whole tag";
}

TEST_F(OciManifests, AManifestThatIsTooLargeIsRefused) {
  const Blob large("{\"schemaVersion\":2,\"x\":\"" + std::string(5 << 20, 'x') + "\"}");
  hub.on(by_tag, manifest_reply(large, kManifestType));
  hub.on(manifest_target("team/app", large.digest), manifest_reply(large, kManifestType));
  start();
  EXPECT_TRUE(failed(ask(by_tag)));
  EXPECT_TRUE(failed(ask(manifest_target("team/app", large.digest))));
}

TEST_F(OciManifests, AManifestWithTheWrongDigestIsRefused) {
  hub.on(by_digest, manifest_reply(moved.manifest, kManifestType));
  start();
  EXPECT_EQ(ask(by_digest).status, 502u);
}

TEST_F(OciManifests, AMissingManifestIsNotFoundInTheRegistrysWords) {
  start();
  const auto answer = ask(by_tag);
  EXPECT_EQ(answer.status, 404u);
  EXPECT_NE(answer.body.find("MANIFEST_UNKNOWN"), std::string::npos) << answer.body;
  EXPECT_EQ(answer.header("Content-Type").find("application/json"), 0u);
  publish(hub, "team/app", "v1", image);
  std::this_thread::sleep_for(kPastTtl);
  EXPECT_EQ(ask(by_tag).status, 200u);
}

TEST_F(OciManifests, TheNextUpstreamIsAskedOnAnyFailureAndNotFoundNeedsAll) {
  ScriptedUpstream mirror;
  publish(hub, "team/app", "v1", image);
  start("{name: docker.io, upstreams: [{name: mirror, url: \"" + mirror.url() + "\"}, {name: hub, url: \"" + hub.url() +
        "\"}], tagTTL: 2s, negative: 2s}");
  EXPECT_EQ(ask(by_tag).status, 200u) << "404 at the first";
  EXPECT_EQ(ask(manifest_target("team/app", "none")).status, 404u);
  const auto broken = manifest_target("team/app", "broken");
  mirror.on(broken, Reply{.status = 500});
  EXPECT_EQ(ask(broken).status, 502u) << "one of them did not say so";
  mirror.go_down();
  EXPECT_EQ(ask(blob_target("team/app", image.config.digest)).body, image.config.bytes);
}

}  // namespace
}  // namespace cistern::conformance
