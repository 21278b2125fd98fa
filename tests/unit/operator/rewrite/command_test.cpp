// `cistern-operator rewrite` as a program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>

#include "tests/fakes/places/places.hpp"

namespace cistern::rewrite {
namespace {

namespace fs = std::filesystem;
using fakes::read_file;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kPolicy =
    "apiVersion: cistern.dev/v1alpha1\nkind: MirrorPolicy\nmetadata: {name: a}\nspec:\n"
    "  images: {registries: [{name: docker.io, upstreams: [{url: \"https://r.example\"}]}]}\n"
    "  regions: {cn: {images: {registries: [{name: quay.io, upstreams: [{url: \"https://q.example\"}]}]}}}\n";

class RewriteCommand : public testing::Test {
 protected:
  struct Ended {
    int code;
    std::string output;
  };
  Ended run(const std::string& arguments, const std::string& input = "/dev/null") const {
    const std::string command = "cd " + folder_.path().string() + " && " + fakes::program("cistern-operator") +
                                " rewrite --policies policy.yaml " + arguments + " < " + input + " 2>&1";
    FILE* pipe = ::popen(command.c_str(), "r");
    std::string output;
    std::array<char, 4096> buffer{};
    for (std::size_t got = 0; (got = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) output.append(buffer.data(), got);
    return {WEXITSTATUS(::pclose(pipe)), output};
  }
  void SetUp() override {
    folder_.write("policy.yaml", kPolicy);
    folder_.write("Dockerfile", "FROM nginx:1\n");
    folder_.write("compose.yaml", "services: {a: {image: quay.io/a/b}, b: {image: redis}}\n");
  }
  std::string file(const std::string& name) const { return read_file(folder_.path() / name); }

  fakes::TemporaryFolder folder_;
};

TEST_F(RewriteCommand, changes_files_in_place_and_keeps_their_modes_and_links) {
  ::chmod((folder_ / "Dockerfile").c_str(), 0750);
  fs::create_symlink("compose.yaml", folder_ / "link.yaml");
  const auto ended = run("Dockerfile link.yaml");
  EXPECT_EQ(ended.code, 0);
  EXPECT_EQ(ended.output, "rewrote Dockerfile\nrewrote link.yaml\n");
  EXPECT_EQ(file("Dockerfile"), "FROM 127.0.0.1:5050/docker.io/library/nginx:1\n");
  EXPECT_EQ(file("compose.yaml"), "services: {a: {image: quay.io/a/b}, b: {image: 127.0.0.1:5050/docker.io/library/redis}}\n");
  EXPECT_TRUE(fs::is_symlink(folder_ / "link.yaml"));
  struct stat status {};
  ::stat((folder_ / "Dockerfile").c_str(), &status);
  EXPECT_EQ(status.st_mode & 0777, 0750U);
  EXPECT_EQ(run("Dockerfile compose.yaml").output, "") << "done already";
  EXPECT_EQ(run("--undo Dockerfile").code, 0);
  EXPECT_EQ(file("Dockerfile"), "FROM docker.io/library/nginx:1\n");
}

TEST_F(RewriteCommand, a_dry_run_prints_a_diff_that_patch_takes) {
  const auto ended = run("--dry-run --region cn --registry cache.example:443 Dockerfile compose.yaml");
  EXPECT_EQ(ended.code, 0);
  EXPECT_EQ(ended.output,
            "--- a/Dockerfile\n+++ b/Dockerfile\n@@ -1,1 +1,1 @@\n-FROM nginx:1\n+FROM cache.example:443/docker.io/library/nginx:1\n"
            "--- a/compose.yaml\n+++ b/compose.yaml\n@@ -1,1 +1,1 @@\n-services: {a: {image: quay.io/a/b}, b: {image: redis}}\n"
            "+services: {a: {image: cache.example:443/quay.io/a/b}, b: {image: cache.example:443/docker.io/library/redis}}\n");
  EXPECT_EQ(file("Dockerfile"), "FROM nginx:1\n");
}

TEST_F(RewriteCommand, check_ends_with_1_if_something_would_change) {
  EXPECT_EQ(run("--check Dockerfile").code, 1);
  EXPECT_EQ(run("--check Dockerfile").output, "Dockerfile would change\n");
  EXPECT_EQ(file("Dockerfile"), "FROM nginx:1\n");
  run("Dockerfile");
  EXPECT_EQ(run("--check Dockerfile").code, 0);
}

TEST_F(RewriteCommand, standard_input_goes_to_standard_output) {
  EXPECT_EQ(run("-", "Dockerfile").output, "FROM 127.0.0.1:5050/docker.io/library/nginx:1\n");
  EXPECT_EQ(run("--type yaml -", "compose.yaml").output,
            "services: {a: {image: quay.io/a/b}, b: {image: 127.0.0.1:5050/docker.io/library/redis}}\n");
}

TEST_F(RewriteCommand, another_folder_gets_what_is_made_of_every_file) {
  folder_.write("sub/Dockerfile", "FROM scratch\n");
  EXPECT_EQ(run("-o out Dockerfile sub/Dockerfile").code, 0);
  EXPECT_EQ(file("out/Dockerfile"), "FROM 127.0.0.1:5050/docker.io/library/nginx:1\n");
  EXPECT_EQ(file("out/sub/Dockerfile"), "FROM scratch\n");
  EXPECT_EQ(file("Dockerfile"), "FROM nginx:1\n");
  const auto clash = run("-o out " + (folder_ / "Dockerfile").string() + " Dockerfile");
  EXPECT_EQ(clash.code, 2);
  EXPECT_THAT(clash.output, HasSubstr("would both become out/Dockerfile"));
}

TEST_F(RewriteCommand, nothing_is_written_if_one_file_is_wrong) {
  folder_.write("broken.yaml", "a: b\nc: [\n");
  const auto ended = run("Dockerfile broken.yaml");
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.output, testing::StartsWith("broken.yaml:3: not valid YAML: "));
  EXPECT_EQ(file("Dockerfile"), "FROM nginx:1\n");
  EXPECT_THAT(run("missing.yaml").output, HasSubstr("missing.yaml: No such file or directory"));
  EXPECT_THAT(run(".").output, HasSubstr(". is a folder; name the files in it"));
}

TEST_F(RewriteCommand, what_is_left_alone_is_told_and_what_can_not_be_asked_for_refused) {
  folder_.write("Dockerfile", "ARG B=nginx\nFROM $B\n");
  EXPECT_EQ(run("Dockerfile").output, "Dockerfile:2: $B: its name holds a variable; it is left as it is\n");
  EXPECT_EQ(run("--region mars Dockerfile").output, "policy a has no region \"mars\"\n");
  EXPECT_EQ(run("--region mars Dockerfile").code, 2);
  EXPECT_EQ(run("--registry cache Dockerfile").output,
            "--registry: cache would be read as a part of a repository's name; write it with its port\n");
}

}  // namespace
}  // namespace cistern::rewrite
