// What a person reads when the agent's file is wrong: file, line, path, and what would be right.
#include <gtest/gtest.h>

#include "config/load.hpp"
#include "tests/fakes/places/places.hpp"

namespace cistern::config {
namespace {

struct Case {
  const char* name;
  const char* yaml;  // follows a line that has storage, and one that has listeners
  const char* message;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class BadAgentFile : public testing::TestWithParam<Case> {};

TEST_P(BadAgentFile, is_refused_with_line_and_path) {
  const std::string yaml = std::string("storage: {path: /c}\nlisteners: {pods: \"127.0.0.1:0\"}\n") + GetParam().yaml;
  const auto loaded = parse(yaml, "/nonexistent");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ErrorCode::kInvalid);
  EXPECT_EQ(loaded.error().message, GetParam().message);
}

const Case kCases[] = {
    {"unknown_field", "timeout: {}\n", "agent.yaml:3: timeout: unknown field; did you mean \"timeouts\"?"},
    {"unknown_field_deep", "timeouts:\n  conect: 1s\n", "agent.yaml:4: timeouts.conect: unknown field; did you mean \"connect\"?"},
    {"unknown_field_unlike_any", "breaker: {x: 1}\n", "agent.yaml:3: breaker.x: unknown field; known here are failures, openFor"},
    {"wrong_type_text", "policy: 5\n", "agent.yaml:3: policy: must be text (write \"5\" in quotes), not the number 5"},
    {"wrong_type_map", "timeouts: 3s\n", "agent.yaml:3: timeouts: must be a map, not the text \"3s\""},
    {"wrong_type_number", "retries: many\n", "agent.yaml:3: retries: must be a whole number, 0 or more, not the text \"many\""},
    {"negative_number", "retries: -1\n", "agent.yaml:3: retries: must be a whole number, 0 or more, not the number -1"},
    {"out_of_bounds", "retries: 11\n", "agent.yaml:3: retries: 11 is out of bounds; write 0 to 10"},
    {"no_value", "timeouts:\n", "agent.yaml:3: timeouts: has no value; leave the field out, or write [] or Off to take something away"},
    {"bad_duration", "timeouts: {idle: soon}\n",
     "agent.yaml:3: timeouts.idle: \"soon\" is not a duration; write a number with ms, s, m or h, as in \"30s\" or \"1m30s\""},
    {"zero_timeout", "timeouts: {idle: 0s}\n", "agent.yaml:3: timeouts.idle: \"0s\" is out of bounds; write 1ms to 24h"},
    {"bad_enum", "selection: Quickest\n", "agent.yaml:3: selection: \"Quickest\" is not known here; write Ordered or Fastest"},
    {"bad_size", "server: {maxHeader: big}\n",
     "agent.yaml:3: server.maxHeader: \"big\" is not a size; write a number with Ki, Mi, Gi or Ti, as in \"20Gi\""},
    {"url_with_user_information", "go:\n  views:\n  - upstreams:\n    - url: https://ann:sesame@goproxy.io\n",
     "agent.yaml:6: go.views[0].upstreams[0].url: the URL holds user information; write it without, and give credentials by reference"},
    {"url_without_scheme", "go: {views: [{upstreams: [{url: goproxy.io}]}]}\n",
     "agent.yaml:3: go.views[0].upstreams[0].url: \"goproxy.io\" is not a URL to ask: it begins with neither https:// nor http://; write "
     "one such as \"https://mirror.example/path\""},
    {"url_missing", "go: {views: [{upstreams: [{name: a}]}]}\n", "agent.yaml:3: go.views[0].upstreams[0].url: is required, and is missing"},
    {"bad_pattern", "go: {views: [{upstreams: [{url: \"http://a\"}], deny: [\"a[\"]}]}\n",
     "agent.yaml:3: go.views[0].deny[0]: \"a[\" is not a module pattern: a bracket or an escape is not closed; write globs of path "
     "prefixes, "
     "as in \"*.corp.example\" or \"github.com/acme/*\""},
    {"duplicate_view", "go:\n  views:\n  - upstreams: [{url: \"http://a\"}]\n  - upstreams: [{url: \"http://a\"}]\n    name: \"\"\n",
     "agent.yaml:7: go.views[1].name: a view \"\" is there already; give each its own name"},
    {"duplicate_upstream", "go: {views: [{upstreams: [{url: \"http://a/x\"},\n  {url: \"http://a/y\"}]}]}\n",
     "agent.yaml:4: go.views[0].upstreams[1].name: an upstream \"a\" is in this list already; give each its own name"},
    {"image_field_in_go", "go: {views: [{upstreams: [{url: \"http://a\", rewrite: []}]}]}\n",
     "agent.yaml:3: go.views[0].upstreams[0].rewrite: unknown field; known here are name, url, credentials, caFile, clientCertFile, "
     "clientKeyFile, insecureSkipVerify, authHosts, weight, rollout, fallback, match"},
    {"duplicate_registry",
     "images:\n  registries:\n  - {name: a.example, upstreams: [{url: \"http://a\"}]}\n"
     "  - {name: a.example, upstreams: [{url: \"http://a\"}]}\n",
     "agent.yaml:6: images.registries[1].name: the registry a.example is there already; put its upstreams into one entry"},
    {"registry_with_path", "images: {registries: [{name: docker.io/library, upstreams: [{url: \"http://a\"}]}]}\n",
     "agent.yaml:3: images.registries[0].name: \"docker.io/library\" is not a registry's name; write its host as in an image reference, "
     "without scheme or path: \"docker.io\", \"localhost:5000\""},
    {"bad_regex", "images: {registries: [{name: a, immutableTags: [\"(\"], upstreams: [{url: \"http://a\"}]}]}\n",
     "agent.yaml:3: images.registries[0].immutableTags[0]: \"(\" is not a regular expression (RE2): missing ): ("},
    {"bad_replacement",
     "images: {registries: [{name: a, upstreams: [{url: \"http://a\", rewrite: [{pattern: \"^a\", replacement: \"\\\\2\"}]}]}]}\n",
     "agent.yaml:3: images.registries[0].upstreams[0].rewrite[0].replacement: \"\\2\" does not fit its pattern: Rewrite schema requests 2 "
     "matches, but the regexp only has 0 parenthesized subexpressions.; write \\1 to \\9 for its groups"},
    {"bad_address", "peers: {self: here}\n",
     "agent.yaml:3: peers.self: \"here\" is not an address; write HOST:PORT or [V6]:PORT, as in \"127.0.0.1:5050\""},
    {"missing_credentials", "go: {views: [{upstreams: [{url: \"http://a\", credentials: hub}]}]}\n",
     "agent.yaml:3: go.views[0].upstreams[0].credentials: /nonexistent/hub holds no credentials; put the files username and password "
     "there, or token, or .dockerconfigjson"},
    {"missing_ca", "go: {views: [{upstreams: [{url: \"http://a\", caFile: ca.crt}]}]}\n",
     "agent.yaml:3: go.views[0].upstreams[0].caFile: /nonexistent/ca.crt does not exist"},
    {"missing_peer_key", "peers: {keyFile: k}\n", "agent.yaml:3: peers.keyFile: /nonexistent/k does not exist"},
    {"verify_without_key", "go: {views: [{upstreams: [{url: \"http://a\"}], sumDB: {name: sum.example}}]}\n",
     "agent.yaml:3: go.views[0].sumDB.key: is required to verify against sum.example; write its verifier key, name+hash+key"},
    {"given_twice", "retries: 1\nretries: 2\n", "agent.yaml:4: \"retries\" is given twice in the same map; keep one"},
    {"not_yaml", "retries: [1\n", "agent.yaml:4: not valid YAML: end of sequence flow not found"},
    {"all_at_once", "retries: no\nselection: x\nzzzzzzzzz: 1\n",
     "agent.yaml:3: retries: must be a whole number, 0 or more, not the text \"no\"\n"
     "agent.yaml:4: selection: \"x\" is not known here; write Ordered or Fastest\n"
     "agent.yaml:5: zzzzzzzzz: unknown field; known here are policy, listeners, server, storage, go, images, selection, timeouts, "
     "retries, breaker, rateLimit, peers"},
};

INSTANTIATE_TEST_SUITE_P(Config, BadAgentFile, testing::ValuesIn(kCases), [](const auto& test) { return std::string(test.param.name); });

TEST(BadAgentFile, without_listeners_or_storage_names_both) {
  const auto loaded = parse("policy: x\n", "/");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().message,
            "agent.yaml:1: storage: is required, and is missing\n"
            "agent.yaml:1: listeners: nothing would be served; give node, pods or both an address, as in \"127.0.0.1:5050\"\n"
            "agent.yaml:1: storage.path: is empty; write the folder that the cache may fill");
}

TEST(BadAgentFile, a_secret_in_a_url_is_not_repeated) {
  const auto loaded = parse("go: {views: [{upstreams: [{url: \"ftp://ann:sesame@h\"}]}]}", "/");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().message.find("sesame"), std::string::npos);
}

TEST(BadAgentFile, an_alias_bomb_is_refused) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    bomb += fmt::format("a{0}: &a{0} [*a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}]\n", i, i - 1);
  }
  const auto loaded = parse(bomb, "/");
  ASSERT_FALSE(loaded);
  EXPECT_NE(loaded.error().message.find("more than 50000 values"), std::string::npos) << loaded.error().message;
}

TEST(BadAgentFile, a_file_that_is_too_large_too_deep_or_not_text_is_refused) {
  EXPECT_EQ(parse(std::string(5 << 20, '#'), "/").error().message,
            "agent.yaml: the file has 5242880 bytes; more than 1048576 are not read");
  EXPECT_NE(parse("policy: " + std::string(100, '[') + std::string(100, ']'), "/").error().message.find("nested more than 64"),
            std::string::npos);
  EXPECT_FALSE(parse(std::string(100'000, '['), "/"));
  EXPECT_EQ(parse("policy: \xff\xfe", "/").error().message, "agent.yaml: the file is not UTF-8 text");
}

}  // namespace
}  // namespace cistern::config
