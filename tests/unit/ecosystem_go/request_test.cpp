#include "cache-agent/ecosystem/go/request.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace cistern::go {
namespace {

TEST(GoRequest, EveryEndpointIsRead) {
  struct Case {
    std::string path;
    Request::Kind kind;
    std::string module, version;
    bool canonical;
  };
  const std::vector<Case> cases = {
      {"/golang.org/x/text/@v/list", Request::kList, "golang.org/x/text", "", false},
      {"/golang.org/x/text/@latest", Request::kLatest, "golang.org/x/text", "", false},
      {"/golang.org/x/text/@v/v0.3.0.info", Request::kInfo, "golang.org/x/text", "v0.3.0", true},
      {"/golang.org/x/text/@v/master.info", Request::kInfo, "golang.org/x/text", "master", false},
      {"/golang.org/x/text/@v/v1.info", Request::kInfo, "golang.org/x/text", "v1", false},
      {"/golang.org/x/text/@v/v1.2.3+meta.info", Request::kInfo, "golang.org/x/text", "v1.2.3+meta", false},
      {"/golang.org/x/text/@v/v0.3.0.mod", Request::kMod, "golang.org/x/text", "v0.3.0", true},
      {"/golang.org/x/text/@v/v0.3.0.zip", Request::kZip, "golang.org/x/text", "v0.3.0", true},
      {"/github.com/!burnt!sushi/toml/@v/v1.0.0-!r!c1.mod", Request::kMod, "github.com/BurntSushi/toml", "v1.0.0-RC1", true},
      {"/golang.org/toolchain/@v/v0.0.1-go1.26.0.linux-amd64.zip", Request::kZip, "golang.org/toolchain", "v0.0.1-go1.26.0.linux-amd64",
       true},
      {"/example.com/a/@v/v2.0.0+incompatible.zip", Request::kZip, "example.com/a", "v2.0.0+incompatible", true},
      {"/example.com/a/@v/list.info", Request::kInfo, "example.com/a", "list", false},
      {"/example.com/a/@v/v1.0.0.info.info", Request::kInfo, "example.com/a", "v1.0.0.info", false},
  };
  for (const auto& one : cases) {
    const auto request = parse(one.path);
    ASSERT_TRUE(request) << one.path << ": " << request.error().message;
    EXPECT_EQ(request->kind, one.kind) << one.path;
    EXPECT_EQ(request->module, one.module) << one.path;
    EXPECT_EQ(request->version, one.version) << one.path;
    EXPECT_EQ(request->canonical, one.canonical) << one.path;
    EXPECT_EQ(request->upstream_path, one.path);
    EXPECT_FALSE(request->is_sumdb());
  }
}

TEST(GoRequest, PseudoVersionsAreMarked) {
  EXPECT_TRUE(parse("/a.b/c/@v/v0.0.0-20191109021931-daa7c04131f5.mod")->pseudo);
  EXPECT_FALSE(parse("/a.b/c/@v/v1.0.0.mod")->pseudo);
}

TEST(GoRequest, EncodedAndRawSpellingsAreOneRequest) {
  const auto raw = parse("/github.com/!burnt!sushi/toml/@v/v1.0.0+incompatible.mod");
  ASSERT_TRUE(raw);
  for (const auto& path : std::vector<std::string>{
           "/github.com/%21burnt%21sushi/toml/@v/v1.0.0+incompatible.mod", "/github.com/!burnt%21sushi/toml/@v/v1.0.0%2Bincompatible.mod",
           "/github.com/!burnt!sushi/toml/%40v/v1.0.0+incompatible.mod", "/%67ithub.com/!burnt!sushi/toml/@v/v1.0.0%2bincompatible.mod"}) {
    const auto request = parse(path);
    ASSERT_TRUE(request) << path << ": " << request.error().message;
    EXPECT_EQ(request->upstream_path, raw->upstream_path);
    EXPECT_EQ(request->module, "github.com/BurntSushi/toml");
  }
}

TEST(GoRequest, OtherSpellingsAreNotFound) {
  for (const auto& path : std::vector<std::string>{"/github.com/BurntSushi/toml/@v/list",
                                                   "/github.com/!!burnt/toml/@v/list",
                                                   "/github.com/burnt!/toml/@v/list",
                                                   "/github.com/%21%21burnt/toml/@v/list",
                                                   "/github.com/%2521burnt/toml/@v/list",
                                                   "/github.com/%42urntSushi/toml/@v/list",
                                                   "/github.com/a/../b/@v/list",
                                                   "/github.com/a/%2e%2e/b/@v/list",
                                                   "/github.com/a/.%2E/b/@v/list",
                                                   "/github%2ecom/a/@v/list",
                                                   "/github.com%2fa/@v/list",
                                                   "/github.com%2Fa/@v/list",
                                                   "/github.com/a%5cb/@v/list",
                                                   "/github.com//a/@v/list",
                                                   "//github.com/a/@v/list",
                                                   "/github.com/a//@v/list",
                                                   "/github.com/a/@v//list",
                                                   "/github.com/./a/@v/list",
                                                   "/github.com/a/@v/list/",
                                                   "/github.com/a/@v/",
                                                   "/github.com/a/@v",
                                                   "/github.com/a",
                                                   "/",
                                                   "",
                                                   "/@v/list",
                                                   "/@latest",
                                                   "/github.com/a/@latest/",
                                                   "/github.com/a/@latestx",
                                                   "/github.com/a/@v/v1.0.0.txt",
                                                   "/github.com/a/@v/.info",
                                                   "/github.com/a/@v/..info",
                                                   "/github.com/a/@v/x/y.info",
                                                   "/github.com/a/@v/V1.info",
                                                   "/github.com/a/@v/v1!.info",
                                                   "/github.com/a/@v/x%2fy.info",
                                                   "/github.com/a/@v/%2e%2e.info",
                                                   "/github.com/a/@v/a%00b.info",
                                                   "/github.com/a/@v/a%0ab.info",
                                                   "/github.com/a/@v/a%7fb.info",
                                                   "/github.com/a/@v/a%C3%A9.info",
                                                   "/github.com/a/@v/a%2.info",
                                                   "/github.com/a/@v/a%zz.info",
                                                   "/github.com/a/@v/a%25b.info",
                                                   "/github.com/a\\b/@v/list",
                                                   "/text/@v/list",
                                                   "/github.com/a/v1/@v/list",
                                                   "/github.com/a/@v/list.txt",
                                                   "/github.com/a/@v/a..b.info",
                                                   "github.com/a/@v/list"}) {
    const auto request = parse(path);
    ASSERT_FALSE(request) << path;
    EXPECT_EQ(request.error().code, ErrorCode::kNotFound) << path;
    EXPECT_FALSE(request.error().message.empty());
  }
}

TEST(GoRequest, ModAndZipOfOtherThanCanonicalVersionsAreNotFound) {
  for (const auto& version : std::vector<std::string>{"master", "v1", "v1.2", "v1.2.3+meta", "daa7c04131f5"}) {
    for (const auto& ending : std::vector<std::string>{".mod", ".zip"}) {
      const auto request = parse("/a.b/c/@v/" + version + ending);
      ASSERT_FALSE(request) << version << ending;
      EXPECT_EQ(request.error().code, ErrorCode::kNotFound);
      EXPECT_NE(request.error().message.find(version + ".info"), std::string::npos) << request.error().message;
    }
  }
}

TEST(GoRequest, TooLongIsNotFound) {
  const std::string longest = "/a.b/" + std::string(kMaxPath - 13, 'c') + "/@v/list";
  ASSERT_EQ(longest.size(), kMaxPath);
  EXPECT_TRUE(parse(longest));
  EXPECT_EQ(parse("/a.b/c" + longest.substr(5)).error().code, ErrorCode::kNotFound);
}

TEST(GoRequest, WhatAUrlCanNotHoldIsEncodedForTheUpstream) {
  EXPECT_EQ(parse("/a.b/c/@v/x%231.info")->upstream_path, "/a.b/c/@v/x%231.info");
  EXPECT_EQ(parse("/a.b/c/@v/x%231.info")->version, "x#1");
  EXPECT_EQ(parse("/a.b/c/@v/a%20b.info")->upstream_path, "/a.b/c/@v/a%20b.info");
  EXPECT_EQ(parse("/a.b/~c/@v/list")->upstream_path, "/a.b/~c/@v/list");
}

TEST(GoRequest, ChecksumDatabaseIsRead) {
  struct Case {
    std::string path;
    Request::Kind kind;
    std::string tail;
  };
  const std::vector<Case> cases = {
      {"/sumdb/sum.golang.org/supported", Request::kSumDbSupported, "/supported"},
      {"/sumdb/sum.golang.org/latest", Request::kSumDbLatest, "/latest"},
      {"/sumdb/sum.golang.org/lookup/golang.org/x/text@v0.3.0", Request::kSumDbLookup, "/lookup/golang.org/x/text@v0.3.0"},
      {"/sumdb/sum.golang.org/tile/8/0/001", Request::kSumDbTile, "/tile/8/0/001"},
      {"/sumdb/sum.golang.org/tile/8/0/x123/067.p/17", Request::kSumDbTile, "/tile/8/0/x123/067.p/17"},
      {"/sumdb/sum.golang.org/tile/8/data/x001/x000/004", Request::kSumDbTile, "/tile/8/data/x001/x000/004"},
      {"/sumdb/sum.golang.org/tile/8/3/000.p/255", Request::kSumDbTile, "/tile/8/3/000.p/255"},
  };
  for (const auto& one : cases) {
    const auto request = parse(one.path);
    ASSERT_TRUE(request) << one.path << ": " << request.error().message;
    EXPECT_EQ(request->kind, one.kind) << one.path;
    EXPECT_EQ(request->sumdb, "sum.golang.org");
    EXPECT_EQ(request->tail, one.tail);
    EXPECT_EQ(request->upstream_path, one.path);
    EXPECT_TRUE(request->is_sumdb());
  }
}

TEST(GoRequest, ALookUpNamesItsModule) {
  const auto request = parse("/sumdb/sum.golang.org/lookup/github.com/%21burnt%21sushi/toml@v1.0.0");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->module, "github.com/BurntSushi/toml");
  EXPECT_EQ(request->version, "v1.0.0");
  EXPECT_TRUE(request->canonical);
  EXPECT_EQ(request->tail, "/lookup/github.com/!burnt!sushi/toml@v1.0.0");
}

TEST(GoRequest, ADatabaseMayHaveAPathOrAPort) {
  EXPECT_EQ(parse("/sumdb/sum.corp.example/go/latest")->sumdb, "sum.corp.example/go");
  EXPECT_EQ(parse("/sumdb/localhost:8080/supported")->sumdb, "localhost:8080");
}

TEST(GoRequest, OtherChecksumDatabasePathsAreNotFound) {
  const std::string base = "/sumdb/sum.golang.org";
  for (const auto& path : std::vector<std::string>{"",
                                                   "/",
                                                   "/x",
                                                   "/supported/",
                                                   "/lookup/",
                                                   "/lookup/golang.org/x/text",
                                                   "/lookup/golang.org/x/text@",
                                                   "/lookup/golang.org/x/text@master",
                                                   "/lookup/golang.org/x/Text@v1.0.0",
                                                   "/lookup/text@v1.0.0",
                                                   "/lookup/../x@v1.0.0",
                                                   "/tile/8/0",
                                                   "/tile/8/0/1",
                                                   "/tile/8/0/x001",
                                                   "/tile/8/0/x000/001",
                                                   "/tile/8/0/x1/001",
                                                   "/tile/0/0/001",
                                                   "/tile/31/0/001",
                                                   "/tile/08/0/001",
                                                   "/tile/8/64/001",
                                                   "/tile/8/00/001",
                                                   "/tile/8/0/001.p",
                                                   "/tile/8/0/001.p/",
                                                   "/tile/8/0/001.p/0",
                                                   "/tile/8/0/001.p/256",
                                                   "/tile/8/0/001.p/01",
                                                   "/tile/8/0/001.p/1/1",
                                                   "/tile/8/0/001/002",
                                                   "/tile/8/-1/001",
                                                   "/tile/8/0/001/",
                                                   "/tile/8/0/0001",
                                                   "/tile/8/0/001.p/99999999999",
                                                   "/tile/8//001"}) {
    const auto request = parse(base + path);
    ASSERT_FALSE(request) << path;
    EXPECT_EQ(request.error().code, ErrorCode::kNotFound) << path;
  }
  for (const auto& path : std::vector<std::string>{"/sumdb/", "/sumdb/supported", "/sumdb/Sum.golang.org/latest", "/sumdb/.x/latest",
                                                   "/sumdb/a/.x/latest", "/sumdb/a b/latest"}) {
    EXPECT_FALSE(parse(path)) << path;
  }
}

TEST(GoRequest, ViewsAreSplitOff) {
  const auto base = split_view("/go/a.b/c/@latest");
  ASSERT_TRUE(base);
  EXPECT_EQ(base->view, "");
  EXPECT_EQ(base->rest, "/a.b/c/@latest");
  const auto dev = split_view("/go/~dev/a.b/c/@latest");
  ASSERT_TRUE(dev);
  EXPECT_EQ(dev->view, "dev");
  EXPECT_EQ(dev->rest, "/a.b/c/@latest");
  EXPECT_EQ(split_view("/go/~dev")->rest, "");
  EXPECT_EQ(split_view("/go/")->rest, "/");
  EXPECT_FALSE(split_view("/go"));
  EXPECT_FALSE(split_view("/gopher/x"));
  EXPECT_FALSE(split_view("/v2/"));
}

TEST(GoRequest, ContentTypesAreTheProtocols) {
  EXPECT_EQ(content_type(Request::kList), "text/plain; charset=utf-8");
  EXPECT_EQ(content_type(Request::kMod), "text/plain; charset=utf-8");
  EXPECT_EQ(content_type(Request::kInfo), "application/json");
  EXPECT_EQ(content_type(Request::kLatest), "application/json");
  EXPECT_EQ(content_type(Request::kZip), "application/zip");
  EXPECT_EQ(content_type(Request::kSumDbLookup), "text/plain; charset=utf-8");
  EXPECT_EQ(content_type(Request::kSumDbTile), "application/octet-stream");
}

TEST(GoRequest, WhatNeverChangesIsFreshForGood) {
  config::GoFreshness freshness;
  freshness.list = std::chrono::seconds(11);
  freshness.latest = std::chrono::seconds(22);
  const auto ttl = [&](const char* path) { return time_to_live(parse(path).value(), freshness); };
  EXPECT_EQ(ttl("/a.b/c/@v/v1.0.0.mod"), std::nullopt);
  EXPECT_EQ(ttl("/a.b/c/@v/v1.0.0.zip"), std::nullopt);
  EXPECT_EQ(ttl("/a.b/c/@v/v1.0.0.info"), std::nullopt);
  EXPECT_EQ(ttl("/sumdb/s.x/lookup/a.b/c@v1.0.0"), std::nullopt);
  EXPECT_EQ(ttl("/sumdb/s.x/tile/8/0/001"), std::nullopt);
  EXPECT_EQ(ttl("/a.b/c/@v/list"), freshness.list);
  EXPECT_EQ(ttl("/a.b/c/@latest"), freshness.latest);
  EXPECT_EQ(ttl("/a.b/c/@v/master.info"), freshness.latest);
  EXPECT_EQ(ttl("/sumdb/s.x/latest"), freshness.latest);
}

}  // namespace
}  // namespace cistern::go
