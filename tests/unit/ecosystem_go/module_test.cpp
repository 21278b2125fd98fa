#include "cache-agent/ecosystem/go/module.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace cistern::go {
namespace {

TEST(ModuleEscapes, UpperCaseIsWrittenAsExclamationMark) {
  EXPECT_EQ(escape("github.com/BurntSushi/toml"), "github.com/!burnt!sushi/toml");
  EXPECT_EQ(escape("v1.0.0-RC1"), "v1.0.0-!r!c1");
  EXPECT_EQ(escape("golang.org/x/text"), "golang.org/x/text");
}

TEST(ModuleEscapes, UnescapingUndoesEscaping) {
  for (const auto& text :
       std::vector<std::string>{"github.com/Azure/azure-sdk-for-go", "gopkg.in/DataDog/dd-trace-go.v1", "v1.0.0-RC1", "a.b/c"}) {
    EXPECT_EQ(unescape(escape(text)).value(), text);
  }
}

TEST(ModuleEscapes, OnlyOneSpellingIsAccepted) {
  for (const auto& text :
       std::vector<std::string>{"github.com/Azure", "a.b/!!c", "a.b/c!", "a.b/!C", "a.b/!1", "a.b/!", "!", "a.b/!/c", "a.b/\xc3\xa9"}) {
    EXPECT_FALSE(unescape(text)) << text;
  }
}

TEST(ModulePaths, ThoseOfRealModulesAreValid) {
  for (const auto& path : std::vector<std::string>{"golang.org/x/text",
                                                   "github.com/BurntSushi/toml",
                                                   "golang.org/toolchain",
                                                   "gopkg.in/yaml.v3",
                                                   "gopkg.in/yaml.v2",
                                                   "gopkg.in/check.v1",
                                                   "gopkg.in/src-d/go-git.v4",
                                                   "gopkg.in/foo.v0",
                                                   "gopkg.in/foo.v1-unstable",
                                                   "k8s.io/api",
                                                   "example.com",
                                                   "example.com/a/v2",
                                                   "example.com/a/v10",
                                                   "example.com/v",
                                                   "example.com/a~b",
                                                   "example.com/a_b-c.d",
                                                   "example.com/v2a",
                                                   "github.com/go-gl/gl/v4.1-core/gl",
                                                   "0x.com/y",
                                                   "example.com/a/vX",
                                                   "a-.com/b",
                                                   "example.com/~user/x",
                                                   "example.com/a/v2/b",
                                                   "example.com/av1"}) {
    EXPECT_TRUE(check_module_path(path)) << path;
  }
}

TEST(ModulePaths, ThoseThatGoRefusesAreInvalid) {
  for (const auto& path : std::vector<std::string>{"",
                                                   "text",
                                                   "std",
                                                   "cmd/go",
                                                   "golang.org//x",
                                                   "/golang.org/x",
                                                   "golang.org/x/",
                                                   "-x.com/y",
                                                   "Golang.org/x",
                                                   "golang.org/.x",
                                                   "golang.org/x.",
                                                   "golang.org/..",
                                                   "golang.org/.",
                                                   "golang.org/x y",
                                                   "golang.org/x@v1",
                                                   "golang.org/x+y",
                                                   "golang.org/x!y",
                                                   "golang.org/é",
                                                   "golang.org/a/v1",
                                                   "golang.org/a/v0",
                                                   "golang.org/a/v02",
                                                   "golang.org/a/v2.0",
                                                   "gopkg.in/yaml",
                                                   "gopkg.in/yaml.v02",
                                                   "gopkg.in/yaml/v2",
                                                   "golang.org/con",
                                                   "golang.org/CON.x",
                                                   "golang.org/com1/x",
                                                   "golang.org/lpt9",
                                                   "golang.org/nul",
                                                   "golang.org/progra~1",
                                                   "golang.org/a~12.x",
                                                   "example_x.com/y",
                                                   "exam~ple.com/y",
                                                   "a.b/c:d",
                                                   "a.b/c\\d",
                                                   "a.b/c%d",
                                                   "a.b/c\"d",
                                                   std::string("a.b/c\0d", 7)}) {
    EXPECT_FALSE(check_module_path(path)) << path;
  }
}

TEST(Versions, TagsBranchesAndHashesMayBeAskedFor) {
  for (const auto& version :
       std::vector<std::string>{"v1.0.0", "master", "main", "daa7c04131f5", "v0.0.0-20191109021931-daa7c04131f5", "v1.0.0+incompatible",
                                "release-1.2", "v2", "feature_x", "R1", "v0.0.1-go1.26.0.linux-amd64", "a@b", "x#1"}) {
    EXPECT_TRUE(check_version(version)) << version;
  }
}

TEST(Versions, WhatCouldBeAPathIsInvalid) {
  for (const auto& version : std::vector<std::string>{"",    "a/b", "..",   ".",   "a..b", ".a",  "a.",  "a\\b",  "a:b",  "a?b", "a*b",
                                                      "a!b", "a%b", "a\"b", "a'b", "a<b",  "a|b", "con", "NUL.x", "a\tb", "é"}) {
    EXPECT_FALSE(check_version(version)) << version;
  }
}

TEST(Versions, CanonicalOnesNameOneContent) {
  for (const auto& version : std::vector<std::string>{"v1.2.3", "v0.0.0", "v1.2.3-pre", "v1.2.3-pre.1", "v2.0.0+incompatible", "v1.2.3-0a",
                                                      "v1.2.3--", "v0.0.0-20191109021931-daa7c04131f5", "v0.0.1-go1.26.0.linux-amd64",
                                                      "v1.2.3-rc.1+incompatible", "v10.20.30"}) {
    EXPECT_TRUE(is_canonical(version)) << version;
    EXPECT_TRUE(is_semver(version)) << version;
  }
  for (const auto& version : std::vector<std::string>{"v1",         "v1.2",     "v1.2.3+meta", "v1.2.3+incompatible.1",
                                                      "1.2.3",      "V1.2.3",   "v01.2.3",     "v1.02.3",
                                                      "v1.2.3-01",  "v1.2.3-",  "v1.2.3-a..b", "v1.2.3+",
                                                      "v1.2.3-a_b", "v1.2.3.4", "master",      "",
                                                      "v",          "v1.",      "v1.2.",       "v1.2.3-a.",
                                                      "v1.2.3 "}) {
    EXPECT_FALSE(is_canonical(version)) << version;
  }
}

TEST(Versions, ShortOnesAndBuildMetadataAreSemverAllTheSame) {
  for (const auto& version : std::vector<std::string>{"v1", "v1.2", "v1.2.3+meta", "v1.2.3-a+b.01"})
    EXPECT_TRUE(is_semver(version)) << version;
  for (const auto& version : std::vector<std::string>{"v1-pre", "v1.2-pre", "v1.2+meta", "v1.2.3+a_b", "v1.2.3+"})
    EXPECT_FALSE(is_semver(version)) << version;
}

TEST(Versions, PseudoVersionsAreTold) {
  for (const auto& version : std::vector<std::string>{
           "v0.0.0-20191109021931-daa7c04131f5", "v1.2.4-0.20191109021931-daa7c04131f5", "v1.2.3-pre.0.20191109021931-daa7c04131f5",
           "v2.0.1-0.20191109021931-daa7c04131f5+incompatible", "v10.0.0-20191109021931-daa7c04131f5"}) {
    EXPECT_TRUE(is_pseudo_version(version)) << version;
  }
  for (const auto& version : std::vector<std::string>{"v0.0.0", "v1.2.3-20191109021931-daa7c04131f5", "v0.0.0-2019110902193-daa7c04131f5",
                                                      "v0.0.0-20191109021931", "v1.2.3-pre", "v1.10.0-20191109021931-daa7c04131f5",
                                                      "v0.0.0-20191109021931-daa.c041", "v1.2.3-pre.1.20191109021931-daa7c04131f5",
                                                      "v1.2.3-pre0.20191109021931-daa7c04131f5", "20191109021931-daa7c04131f5"}) {
    EXPECT_FALSE(is_pseudo_version(version)) << version;
  }
}

}  // namespace
}  // namespace cistern::go
