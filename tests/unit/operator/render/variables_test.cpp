#include "operator/render/variables.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include "operator/model/parse.hpp"
#include "operator/render/files.hpp"
#include "tests/fakes/places/places.hpp"

namespace cistern::render {
namespace {

const Variables kHard = {
    {"A", "http://h:1/go/|direct"}, {"B", "it's $HOME"}, {"C", "a\nCISTERN_END\nb"}, {"D", "\"x\" \\ `y` #z"}, {"E", ""}};

std::string output_of(const std::string& command) {
  std::string output;
  FILE* pipe = ::popen(command.c_str(), "r");
  std::array<char, 256> buffer{};
  for (std::size_t got = 0; (got = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) output.append(buffer.data(), got);
  ::pclose(pipe);
  return output;
}

TEST(Variables, sh_reads_every_value_as_it_is) {
  fakes::TemporaryFolder folder;
  const auto file = folder.write("env.sh", to_shell(kHard));
  for (const auto& [name, value] : kHard) {
    EXPECT_EQ(output_of("sh -c '. \"$0\"; printf \"%s.\" \"$" + name + "\"' " + file.string()), value + ".");
  }
  EXPECT_EQ(to_shell({{"B", "it's"}}), "export B='it'\\''s'\n");
}

TEST(Variables, dotenv_quotes_only_what_is_not_plain) {
  EXPECT_EQ(to_dotenv({{"A", "http://127.0.0.1:5050/go/~dev/"}, {"B", "*.corp.example,a.example"}, {"C", ""}}),
            "A=http://127.0.0.1:5050/go/~dev/\nB=*.corp.example,a.example\nC=\n");
  EXPECT_EQ(to_dotenv({{"A", "x|direct"}, {"B", "a b $HOME #c"}, {"C", "a\nb"}}), "A='x|direct'\nB='a b $HOME #c'\nC='a\nb'\n");
  EXPECT_EQ(to_dotenv({{"A", "it's $5 \"\\\n"}}), "A=\"it's \\$5 \\\"\\\\\\n\"\n");
}

TEST(Variables, github_gets_a_delimiter_that_no_line_of_the_value_is) {
  EXPECT_EQ(to_github({{"A", "x=y<<z"}, {"B", "two\nlines"}}), "A=x=y<<z\nB<<CISTERN_END\ntwo\nlines\nCISTERN_END\n");
  EXPECT_EQ(to_github({{"C", kHard.at("C")}}), "C<<CISTERN_END_2\na\nCISTERN_END\nb\nCISTERN_END_2\n");
  EXPECT_EQ(to_github({{"C", "CISTERN_END\r\nCISTERN_END_2"}}), "C<<CISTERN_END_3\nCISTERN_END\r\nCISTERN_END_2\nCISTERN_END_3\n");
}

TEST(Variables, gitlab_is_refused_what_its_report_can_not_hold) {
  EXPECT_EQ(to_gitlab({{"A", "x|direct"}, {"B", ""}}).value(), "A=x|direct\nB=\n");
  for (const auto* value : {"a b", " a", "a\nb", "'a'", "\"a\""}) {
    const auto text = to_gitlab({{"A", value}});
    ASSERT_FALSE(text) << value;
    EXPECT_EQ(text.error().message.substr(0, 3), "A: ");
  }
}

TEST(Variables, json_is_one_object) {
  EXPECT_EQ(to_text({{"A", "x\"y"}, {"B", ""}}, VariablesFormat::kJson).value(), "{\n  \"A\": \"x\\\"y\",\n  \"B\": \"\"\n}\n");
  EXPECT_EQ(to_text({}, VariablesFormat::kJson).value(), "{}\n");
}

TEST(Variables, a_format_is_one_that_is_known) {
  EXPECT_EQ(variables_format("github").value(), VariablesFormat::kGitHub);
  EXPECT_EQ(variables_format("csh").error().message, "\"csh\" is no format; write sh, dotenv, github, gitlab or json");
}

TEST(MachineEnvironment, is_what_a_pod_of_that_profile_is_told) {
  const auto policies = model::parse_policies(R"(apiVersion: cistern.dev/v1alpha1
kind: MirrorPolicy
metadata: {name: a}
spec:
  go: {upstreams: [{url: "https://a.example"}], private: [p.example]}
  injection: {env: {GOFLAGS: -mod=mod}}
  profiles: {dev: {go: {sumDB: {exempt: [x.example]}}, injection: {env: {GOSUMDB: "off"}}}}
)",
                                              "p.yaml");
  ASSERT_TRUE(policies) << policies.error().message;
  const auto base = machine_environment(plan::plan_machine(*policies).value(), "https://cache.example");
  EXPECT_EQ(base, (Variables{{"GOPROXY", "https://cache.example/go/"},
                             {"GONOPROXY", "p.example"},
                             {"GOPRIVATE", "p.example"},
                             {"GOSUMDB", "sum.golang.org"},
                             {"GONOSUMDB", "p.example"},
                             {"GOFLAGS", "-mod=mod"}}));
  const auto dev = machine_environment(plan::plan_machine(*policies, {"", "dev"}).value(), "http://h:1");
  EXPECT_EQ(dev.at("GOPROXY"), "http://h:1/go/~dev/");
  EXPECT_EQ(dev.at("GONOSUMDB"), "p.example,x.example");
  EXPECT_EQ(dev.at("GOSUMDB"), "off") << "what the policy sets itself comes before what follows from it";
}

}  // namespace
}  // namespace cistern::render
