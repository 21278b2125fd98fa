#include "config/load.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/checks.hpp"
#include "config/describe.hpp"
#include "tests/fakes/places/places.hpp"

namespace cistern::config {
namespace {

using fakes::TemporaryFolder;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// A self-signed certificate, for nothing but being one.
constexpr const char* kCertificate = R"(-----BEGIN CERTIFICATE-----
MIIBdTCCARugAwIBAgIUIpJVYfS24GiT0CFVWV9Ke+jrKqswCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjMxNzAxNTNaGA8yMTI2MTAzMDE3MDE1
M1owDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNe8
dYb7MYxMRV7Kc+N0VXbh9wyNV239qaV7EwN6OhQI/XrVHFB8WudHVUh09ILlZZiJ
kyuZZTVPAdaxBKmjk6GjUzBRMB0GA1UdDgQWBBR4GpRv11t9jrKHvowFlteTVIGz
CTAfBgNVHSMEGDAWgBR4GpRv11t9jrKHvowFlteTVIGzCTAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0gAMEUCIHYMZzGD7mNr7XHgYysQ8T7Ov/EHhX8B8nKb
anflbWYoAiEAxm8KfmReVqJsDfuOFl9Y31G0NbjiN3is5uGsJMZ60g8=
-----END CERTIFICATE-----
)";

constexpr const char* kMinimal = "listeners: {pods: \"127.0.0.1:0\"}\nstorage: {path: cache}\n";

constexpr const char* kFull = R"(policy: default
listeners: {node: "127.0.0.1:5050", pods: "0.0.0.0:5050", admin: "127.0.0.1:5051"}
server: {threads: 2, maxHeader: 8Ki, drainTimeout: 5s, logLevel: debug, logHitsOneIn: 1}
storage: {path: cache, size: 10Gi, minFree: 5%, memory: 1Mi}
go:
  views:
  - upstreams:
    - name: main
      url: https://goproxy.io/
      fallback: Any
      match: []
      credentials: credentials/main
      caFile: ca.crt
    - url: https://corp.example/go
      match: ["*.corp.example"]
      weight: 3
    private: ["*.corp.example"]
    sumDB: {exempt: [example.com/x]}
    freshness: {list: 10s}
  - name: dev
    upstreams: [{url: "https://goproxy.cn"}]
    deny: [github.com/bad/*]
    sumDB: {mode: "Off"}
images:
  registries:
  - name: docker.io
    upstreams:
    - url: https://registry-1.docker.io
      credentials: credentials/hub
      rewrite: [{pattern: "^coredns/(.*)$", replacement: "google_containers/\\1"}]
      authHosts: [auth.docker.io]
    tagTTL: 1m
    immutableTags: ["v\\d+"]
  - name: localhost:5000
    upstreams: [{url: "http://localhost:5000", insecureSkipVerify: true}]
selection: Fastest
timeouts: {connect: 1s}
retries: 1
breaker: {failures: 2, openFor: 1s}
rateLimit: {requestsPerSecond: 10}
peers: {enabled: true, self: "10.0.0.1:5050", list: [{address: "10.0.0.1:5050"}, {address: "10.0.0.2:5050", zone: b}], keyFile: peers.key}
)";

void write_secrets(const TemporaryFolder& folder) {
  folder.write("ca.crt", kCertificate);
  folder.write("credentials/main/username", "ann\n");
  folder.write("credentials/main/password", "sesame\n");
  folder.write("credentials/hub/.dockerconfigjson",
               R"({"auths": {"ghcr.io": {"username": "no", "password": "no"}, "https://index.docker.io/v1/": {"auth": "Ym9iOnB3"}}})");
  folder.write("peers.key", "0123456789abcdef0123456789abcdef\n");
  folder.write("peers.key.previous", "an older key of the peers\n");
}

TEST(Load, a_minimal_file_gets_every_default) {
  const auto loaded = parse(kMinimal, "/srv/agent");
  ASSERT_TRUE(loaded) << loaded.error().message;
  Config expected;
  expected.listeners.pods = "127.0.0.1:0";
  expected.storage.path = "/srv/agent/cache";
  EXPECT_EQ(loaded->config, expected);
  EXPECT_EQ(loaded->hash.size(), 16U);
}

TEST(Load, every_field_is_read) {
  TemporaryFolder folder;
  write_secrets(folder);
  const auto loaded = load(folder.write("agent.yaml", kFull));
  ASSERT_TRUE(loaded) << loaded.error().message;
  const Config& config = loaded->config;
  EXPECT_EQ(config.storage, (Storage{(folder.path() / "cache").string(), gib(10), 5, mib(1)}));
  ASSERT_EQ(config.go_views.size(), 2U);
  const Upstream& main = config.go_views[0].upstreams[0];
  EXPECT_EQ(main.url, "https://goproxy.io") << "the trailing slash goes";
  EXPECT_EQ(main.fallback, Fallback::kAny);
  EXPECT_TRUE(main.match.empty());
  EXPECT_EQ(main.credentials, (Credentials{"ann", "sesame", ""}));
  EXPECT_EQ(main.ca_pem, kCertificate);
  EXPECT_EQ(config.go_views[0].upstreams[1].name, "corp.example") << "the URL's host unless named";
  EXPECT_EQ(config.go_views[0].sumdb.key, kSumGolangOrgKey);
  EXPECT_EQ(config.go_views[1].name, "dev");
  EXPECT_EQ(config.go_views[1].sumdb.mode, SumDbMode::kOff);
  const Registry& hub = config.registries[0];
  EXPECT_EQ(hub.upstreams[0].credentials, (Credentials{"bob", "pw", ""}));
  EXPECT_EQ(hub.upstreams[0].fallback, Fallback::kAny);
  EXPECT_EQ(hub.upstreams[0].rewrite, (std::vector<Rewrite>{{"^coredns/(.*)$", "google_containers/\\1"}}));
  EXPECT_TRUE(hub.needs_credentials());
  EXPECT_FALSE(config.registries[1].needs_credentials());
  EXPECT_EQ(config.rate_limit, (RateLimit{10, 10})) << "a burst is one second's worth unless given";
  EXPECT_EQ(config.peers.key, "0123456789abcdef0123456789abcdef");
  EXPECT_EQ(config.peers.previous_key, "an older key of the peers");
}

TEST(Load, what_to_yaml_writes_loads_as_the_same_configuration) {
  TemporaryFolder folder;
  write_secrets(folder);
  const auto loaded = load(folder.write("agent.yaml", kFull));
  ASSERT_TRUE(loaded) << loaded.error().message;
  const std::string written = to_yaml(loaded->config);
  const auto again = parse(written, folder.path());
  ASSERT_TRUE(again) << again.error().message << "\n" << written;
  EXPECT_EQ(again->config, loaded->config) << written;
  EXPECT_EQ(to_yaml(again->config), written);
}

TEST(Load, secrets_are_never_written) {
  TemporaryFolder folder;
  write_secrets(folder);
  const auto loaded = load(folder.write("agent.yaml", kFull));
  ASSERT_TRUE(loaded) << loaded.error().message;
  const std::string written = to_yaml(loaded->config);
  EXPECT_THAT(written, Not(HasSubstr("sesame")));
  EXPECT_THAT(written, Not(HasSubstr("0123456789abcdef")));
  EXPECT_THAT(written, Not(HasSubstr("BEGIN CERTIFICATE")));
  EXPECT_THAT(written, HasSubstr("credentials/main"));
}

TEST(Load, the_hash_covers_the_files_that_are_named) {
  TemporaryFolder folder;
  write_secrets(folder);
  const auto file = folder.write("agent.yaml", kFull);
  const auto before = load(file);
  ASSERT_TRUE(before) << before.error().message;
  EXPECT_EQ(load(file)->hash, before->hash);
  folder.write("credentials/main/password", "changed");
  const auto after = load(file);
  ASSERT_TRUE(after);
  EXPECT_NE(after->hash, before->hash);
  EXPECT_THAT(after->files, testing::Contains((folder.path() / "credentials/main/password").string()));
}

TEST(Load, the_hash_does_not_depend_on_the_folder) {
  TemporaryFolder one;
  TemporaryFolder two;
  write_secrets(one);
  write_secrets(two);
  EXPECT_EQ(load(one.write("agent.yaml", kFull))->hash, load(two.write("agent.yaml", kFull))->hash);
}

TEST(Load, a_file_that_is_not_there_says_so) {
  const auto loaded = load("/nonexistent/agent.yaml");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(loaded.error().message, "/nonexistent/agent.yaml does not exist");
}

}  // namespace
}  // namespace cistern::config
