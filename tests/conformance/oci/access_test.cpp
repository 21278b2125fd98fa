// Which registry is meant, and who may read what.
#include "oci_fixture.hpp"

namespace cistern::conformance {
namespace {

class OciAccess : public OciTest {
 protected:
  const Image image = make_image({100000});
  const Image other = make_image({100000}, 2);
  const std::string by_tag = manifest_target("team/app", "v1");
  const std::string layer = blob_target("team/app", image.layers[0].digest);
};

TEST_F(OciAccess, Case17_TheSameRepositoryInTwoRegistriesDoesNotMix) {
  publish(hub, "team/app", "v1", image);
  publish(quay, "team/app", "v1", other);
  start();
  EXPECT_EQ(ask(by_tag).header("Docker-Content-Digest"), image.manifest.digest);
  EXPECT_EQ(ask(by_tag, {}, "quay.io").header("Docker-Content-Digest"), other.manifest.digest);
  EXPECT_EQ(ask(layer).status, 200u);
  EXPECT_EQ(ask(layer, {}, "quay.io").status, 404u) << "quay.io does not have it, whatever docker.io has";
}

TEST_F(OciAccess, Case18_NginxIsLibraryNginx) {
  publish(hub, "library/nginx", "latest", image);
  start();
  for (const auto& target :
       {std::string("/v2/nginx/manifests/latest?ns=docker.io"), std::string("/v2/library/nginx/manifests/latest?ns=docker.io"),
        std::string("/v2/docker.io/nginx/manifests/latest"), std::string("/v2/docker.io/library/nginx/manifests/latest")}) {
    EXPECT_EQ(get(agent->node(), target).header("Docker-Content-Digest"), image.manifest.digest) << target;
  }
  EXPECT_EQ(hub.count("GET", "/v2/nginx/manifests/latest"), 0u);
  EXPECT_LE(hub.count(), 2u) << "they are one object";
}

TEST_F(OciAccess, OnlyDockerIoHasALibrary) {
  publish(quay, "nginx", "latest", image);
  start();
  EXPECT_EQ(get(agent->node(), "/v2/quay.io/nginx/manifests/latest").status, 200u);
}

TEST_F(OciAccess, WithOneRegistryInThePolicyNeitherNamespaceNorPrefixIsNeeded) {
  publish(quay, "team/app", "v1", image);
  start(registry("quay.io", quay));
  EXPECT_EQ(get(agent->node(), by_tag).status, 200u);
  EXPECT_EQ(get(agent->node(), "/v2/quay.io/team/app/manifests/v1").status, 200u);
}

TEST_F(OciAccess, ARegistryThatNoPolicyNamesIsForbiddenAndNobodyIsDialled) {
  start();
  EXPECT_EQ(ask(by_tag, {}, "ghcr.io").status, 403u);
  EXPECT_EQ(get(agent->node(), "/v2/ghcr.io/team/app/manifests/v1").status, 403u);
  EXPECT_EQ(ask(by_tag, {}, hub.authority()).status, 403u) << "an upstream's own address is not a registry of the policy";
  EXPECT_EQ(hub.count() + quay.count(), 0u);
}

TEST_F(OciAccess, TheNamespaceBeatsThePathAndTwoAreABadRequest) {
  publish(quay, "team/app", "v1", image);
  start();
  EXPECT_EQ(get(agent->node(), by_tag + "?ns=quay.io").status, 200u);
  EXPECT_EQ(get(agent->node(), by_tag + "?ns=quay.io&ns=docker.io").status, 400u);
  EXPECT_EQ(hub.count(), 0u);
}

TEST_F(OciAccess, NamesThatTheSpecificationDoesNotAllowAreRefused) {
  start();
  for (const auto* target :
       {"/v2/Team/app/manifests/v1", "/v2/../../etc/manifests/v1", "/v2/team//app/manifests/v1", "/v2/team/app/blobs/sha256:abc",
        "/v2/team/app/blobs/md5:00", "/v2/team/app/manifests/-x", "/v2/team%2fapp/manifests/v1/..", "/v2/team/app/manifests/%2e%2e"}) {
    const auto answer = get(agent->node(), std::string(target) + "?ns=docker.io");
    EXPECT_EQ(answer.status / 100, 4u) << target << ": " << answer.status;
  }
  EXPECT_EQ(hub.count(), 0u);
}

TEST_F(OciAccess, PushAndDeleteAreNotAllowed) {
  start();
  for (const auto* method : {"PUT", "DELETE", "PATCH"}) {
    const auto answer = fetch(agent->node(), method, by_tag + "?ns=docker.io");
    EXPECT_EQ(answer.status, 405u) << method;
    EXPECT_NE(answer.body.find("\"errors\""), std::string::npos) << answer.body;
    EXPECT_NE(answer.body.find("UNSUPPORTED"), std::string::npos) << answer.body;
  }
  EXPECT_EQ(fetch(agent->node(), "POST", "/v2/team/app/blobs/uploads/?ns=docker.io").status, 405u);
  EXPECT_EQ(hub.count(), 0u);
}

TEST_F(OciAccess, Case22_ABlobIsDeniedThroughAnotherRepositorysPath) {
  publish(hub, "team/private", "v1", image);
  start();
  EXPECT_EQ(ask(blob_target("team/private", image.layers[0].digest)).status, 200u);
  EXPECT_EQ(ask(blob_target("team/open", image.layers[0].digest)).status, 404u) << "the upstream decides, not the store";
  EXPECT_GE(hub.asked(blob_target("team/open", image.layers[0].digest)).size(), 1u);
  EXPECT_EQ(ask_head(blob_target("team/shut", image.layers[0].digest)).status, 404u);
  EXPECT_EQ(ask(manifest_target("team/open", image.manifest.digest)).status, 404u);
}

TEST_F(OciAccess, Case22_APrivateRegistryIsServedOnTheNodeListenerOnly) {
  setup.separate_listeners = true;
  publish(hub, "team/app", "v1", image);
  publish(quay, "team/app", "v1", image);
  hub.require_basic("/v2/", "user", "secret");
  start_with_credentials();
  EXPECT_EQ(ask(layer).status, 200u);
  EXPECT_EQ(ask(by_tag).status, 200u);
  hub.forget();
  for (const auto& target : {layer, by_tag, manifest_target("team/app", image.manifest.digest)}) {
    const auto answer = get(agent->pods(), target + "?ns=docker.io");
    EXPECT_EQ(answer.status, 403u) << target;
    EXPECT_FALSE(has_field(answer.headers, "WWW-Authenticate"));
    EXPECT_EQ(head(agent->pods(), target + "?ns=docker.io").status, 403u) << target;
  }
  EXPECT_EQ(hub.count(), 0u);
  EXPECT_EQ(get(agent->pods(), layer + "?ns=quay.io").status, 200u) << "one without credentials is served there";
}

TEST_F(OciAccess, TheNodeListenerDoesNotServeGo) {
  setup.separate_listeners = true;
  setup.go = "{views: [{upstreams: [{url: \"" + hub.url() + "\"}], sumDB: {mode: Off}}]}";
  hub.on("/example.com/m/@v/list", Reply{.body = "v1.0.0\n"});
  start();
  EXPECT_EQ(get(agent->pods(), "/go/example.com/m/@v/list").status, 200u);
  EXPECT_NE(get(agent->node(), "/go/example.com/m/@v/list").status, 200u);
}

TEST_F(OciAccess, ARepositoryIsRewrittenForItsUpstream) {
  publish(hub, "mirror/coredns", "v1", image);
  start(registry("docker.io", hub, "rewrite: [{pattern: \"^coredns/(.*)$\", replacement: \"mirror/\\\\1\"}]"));
  EXPECT_EQ(ask(manifest_target("coredns/coredns", "v1")).status, 200u);
  EXPECT_EQ(ask(blob_target("coredns/coredns", image.layers[0].digest)).status, 200u);
  EXPECT_EQ(hub.asked()[0].path(), manifest_target("mirror/coredns", "v1"));
}

TEST_F(OciAccess, PurgeDropsWhatItsPatternNames) {
  publish(hub, "team/app", "v1", image);
  publish(hub, "team/other", "v1", other);
  start();
  const auto other_layer = blob_target("team/other", other.layers[0].digest);
  EXPECT_EQ(ask(layer).status, 200u);
  EXPECT_EQ(ask(other_layer).status, 200u);
  EXPECT_EQ(fetch(agent->admin(), "POST", "/purge?pattern=*team/app*", {{"Content-Length", "0"}}).status, 200u);
  EXPECT_EQ(cache_result(ask(layer)), "miss");
  EXPECT_EQ(cache_result(ask(other_layer)), "hit");
  EXPECT_NE(fetch(agent->node(), "POST", "/purge?pattern=*", {{"Content-Length", "0"}}).status, 200u) << "on the admin listener only";
}

}  // namespace
}  // namespace cistern::conformance
