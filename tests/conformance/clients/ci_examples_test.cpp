// examples/ci: the shell steps, run as the CI systems run them, against a standalone agent.
#include "standalone_fixture.hpp"

#include <regex>

#include "yaml/node.hpp"

namespace cistern::conformance {
namespace {

using Variables = std::map<std::string, std::string>;

// Stands in for docker: `build` fetches what FROM names, without a daemon.
constexpr const char* kDocker = R"(#!/bin/sh
set -eu
[ "$1" = build ]
sed -n 's/^FROM \([^ ]*\).*/\1/p' Dockerfile | while read -r image; do
  echo "pulling $image"
  skopeo copy --src-tls-verify=false "docker://$image" "dir:pulled"
done
)";

class CiExamples : public StandaloneTest {
 protected:
  void SetUp() override {
    if (const auto why = missing({"go", "bash", "skopeo"}); !why.empty()) GTEST_SKIP() << why;
    publish(upstream, make_module("example.com/lib", "v1.0.0"));
    publish(upstream, "library/base", "1", small_images({"amd64"}, "base").front().image);
    // Only the region has upstreams that answer, and only the profile does without the checksum database.
    write_policy(
        "go: {upstreams: [{name: down, url: \"http://127.0.0.1:1\"}]}, region: {default: eu}, regions: {eu: {go: {upstreams: [{url: \"" +
        upstream.url() + "\"}]}, " + images_of(upstream.url()) + "}}, profiles: {dev: {go: {sumDB: {mode: Off}}}}");
    start();
    write_file(project() / "go.mod", "module example.com/app\n\ngo 1.18\n\nrequire example.com/lib v1.0.0\n");
    write_file(project() / "main.go", "package main\n\nimport _ \"example.com/lib\"\n\nfunc main() {}\n");
    write_file(project() / "Dockerfile", "# The base\nFROM base:1 AS final\n");
    write_file(project() / "compose.yaml", "services:\n  app:\n    image: base:1   # kept\n");
    write_file(folder / "bin/docker", kDocker);
    std::filesystem::permissions(folder / "bin/docker", std::filesystem::perms::owner_all);
  }

  static yaml::Node example(const std::string& name) {
    const auto file = source_folder() / "examples/ci" / name;
    auto documents = yaml::parse(read_file(file), file.string());
    EXPECT_TRUE(documents) << documents.error().message;
    return documents ? std::move(documents->front()) : yaml::Node{};
  }
  static std::string text(const yaml::Node* node) { return node == nullptr ? "" : node->scalar.get<std::string>(); }

  // The example's own, but for where things are.
  Variables variables(const yaml::Node* written) const {
    Variables known;
    EXPECT_NE(written, nullptr);
    for (const auto& variable : written->children) known[variable.key] = text(&variable);
    for (const auto* name : {"CISTERN_POLICIES", "CISTERN_URL", "CISTERN_REGISTRY"}) EXPECT_TRUE(known.contains(name)) << name;
    known["CISTERN_POLICIES"] = (folder / "policies").string();
    known["CISTERN_URL"] = agent.url();
    known["CISTERN_REGISTRY"] = agent.text();
    return known;
  }

  Ended bash(const std::string& options, const std::string& script, const Variables& known) const {
    auto environment = go_environment(folder.path());
    const auto programs = std::filesystem::path(program("cistern-operator")).parent_path();
    environment.push_back("PATH=" + (folder / "bin").string() + ":" + programs.string() + ":" + std::getenv("PATH"));
    for (const auto& [name, value] : known) environment.push_back(name + "=" + value);
    return run({.arguments = {"bash", options, "-c", script}, .environment = environment, .folder = project()}, std::chrono::seconds(100));
  }

  // What every example is for.
  void expect_built(const std::string& output) {
    EXPECT_EQ(downloaded(folder.path(), ".zip"), 1u) << output;
    EXPECT_TRUE(std::filesystem::exists(project() / "app")) << output;
    EXPECT_EQ(read_file(project() / "Dockerfile"), "# The base\nFROM " + agent.text() + "/docker.io/library/base:1 AS final\n");
    EXPECT_EQ(read_file(project() / "compose.yaml"),
              "services:\n  app:\n    image: " + agent.text() + "/docker.io/library/base:1   # kept\n");
    EXPECT_NE(output.find("pulling " + agent.text() + "/docker.io/library/base:1"), std::string::npos) << output;
    EXPECT_TRUE(std::filesystem::exists(project() / "pulled/manifest.json")) << output;
  }

  std::filesystem::path project() const { return folder / "project"; }
};

// Adds what a step wrote to $GITHUB_ENV, by the runner's rules: NAME=value, or NAME<<DELIMITER and lines up to the delimiter.
void read_github_file(const std::filesystem::path& file, Variables& known) {
  std::istringstream lines(read_file(file));
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    const auto equals = line.find('=');
    const auto here = line.find("<<");
    ASSERT_NE(std::min(equals, here), std::string::npos) << "the runner refuses this line: " << line;
    if (equals < here) {
      known[line.substr(0, equals)] = line.substr(equals + 1);
      continue;
    }
    const auto end = line.substr(here + 2);
    std::string value;
    bool ended = false;
    for (std::string next; !ended && std::getline(lines, next);) {
      ended = next == end;
      if (!ended) value += (value.empty() ? "" : "\n") + next;
    }
    ASSERT_TRUE(ended) << "no line is " << end;
    known[line.substr(0, here)] = value;
  }
}

TEST_F(CiExamples, GitHubActions) {
  const auto workflow = example("github-actions.yaml");
  auto known = variables(workflow.find("env"));
  const auto file = folder / "github.env";
  write_file(file, "");
  const auto* jobs = workflow.find("jobs");
  ASSERT_NE(jobs, nullptr);
  std::string output;
  int steps = 0;
  for (const auto& step : jobs->find("build")->find("steps")->children) {
    if (step.find("run") == nullptr) continue;
    ++steps;
    auto environment = known;
    environment["GITHUB_ENV"] = file.string();
    const auto ended = bash("-e", text(step.find("run")), environment);
    output += ended.output;
    ASSERT_EQ(ended.code, 0) << text(step.find("name")) << ": " << ended.output;
    read_github_file(file, known);
  }
  EXPECT_EQ(steps, 4);
  EXPECT_EQ(known["GOPROXY"], agent.url() + "/go/~dev/");
  EXPECT_EQ(known["GOSUMDB"], "off");
  expect_built(output);
}

TEST_F(CiExamples, GitLab) {
  const auto pipeline = example("gitlab-ci.yml");
  std::map<std::string, Variables> reports;
  std::string output;
  for (const auto* name : {"agents", "build", "image"}) {
    const auto* job = pipeline.find(name);
    ASSERT_NE(job, nullptr) << name;
    auto known = variables(pipeline.find("variables"));
    if (const auto* needs = job->find("needs")) {
      for (const auto& needed : needs->children) known.insert(reports.at(text(&needed)).begin(), reports.at(text(&needed)).end());
    }
    std::string script;
    for (const auto& line : job->find("script")->children) script += text(&line) + "\n";
    const auto ended = bash("-e", "set -o pipefail\n" + script, known);
    output += ended.output;
    ASSERT_EQ(ended.code, 0) << name << ": " << ended.output;
    const auto* artifacts = job->find("artifacts");
    if (artifacts == nullptr) continue;
    std::istringstream lines(read_file(project() / text(artifacts->find("reports")->find("dotenv"))));
    for (std::string line; std::getline(lines, line);) {
      std::smatch parts;
      ASSERT_TRUE(std::regex_match(line, parts, std::regex("([A-Za-z0-9_]+)=([^\"' ]*)"))) << "GitLab refuses this line: " << line;
      reports[name][parts[1]] = parts[2];
    }
  }
  EXPECT_EQ(reports["agents"]["GOPROXY"], agent.url() + "/go/~dev/");
  expect_built(output);
}

}  // namespace
}  // namespace cistern::conformance
