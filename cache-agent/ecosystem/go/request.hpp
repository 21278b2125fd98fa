// What a GET or HEAD under /go/ asks for (go.dev/ref/mod#goproxy-protocol). Pure; any thread.
//
// A path is decoded once, so that "!" and "%21" are one request, and then it is refused unless it is the one right spelling of what it
// means: no raw upper case, no "!!", no "..", no encoded dot or slash, no empty element. So two requests for the same thing have equal
// fields, equal cache keys, and nothing else reaches an upstream.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "config/model.hpp"

namespace cistern::go {

struct Request {
  enum Kind {
    kList,            // /<module>/@v/list
    kLatest,          // /<module>/@latest
    kInfo,            // /<module>/@v/<version>.info; the version may be a branch or a hash
    kMod,             // /<module>/@v/<version>.mod
    kZip,             // /<module>/@v/<version>.zip
    kSumDbSupported,  // /sumdb/<name>/supported
    kSumDbLatest,     // /sumdb/<name>/latest
    kSumDbLookup,     // /sumdb/<name>/lookup/<module>@<version>
    kSumDbTile,       // /sumdb/<name>/tile/<height>/<level>/<index>[.p/<width>]
  };
  Kind kind = kList;
  std::string module;      // unescaped; empty for sumdb requests other than look-ups
  std::string version;     // unescaped; empty for kList, kLatest and tiles
  bool canonical = false;  // the version names one content for good
  bool pseudo = false;     // … and is a pseudo-version
  std::string sumdb;       // the database's name, for sumdb requests
  std::string
      tail;  // for sumdb requests, what follows the name: "/lookup/golang.org/x/text@v0.3.0", "/tile/8/0/001"; escaped as sent upstream
  // What to ask a GOPROXY, with '!' escapes: "/github.com/!burnt!sushi/toml/@v/v1.0.0.mod", "/sumdb/sum.golang.org/latest".
  std::string upstream_path;

  bool is_sumdb() const { return kind >= kSumDbSupported; }
  // Whether the answer never changes: .mod, .zip and .info of canonical versions, look-ups and tiles.
  bool immutable() const;
};

// Paths longer than this, as sent, are refused.
constexpr std::size_t kMaxPath = 2048;

// `path` is what follows "/go" or "/go/~profile"; it starts with '/', without a query. kNotFound, with a text for the person who reads
// `go`'s output, for whatever is not a well-formed request, .mod and .zip of non-canonical versions included.
Result<Request> parse(std::string_view path);

// "/go/~dev/x/@latest" → {"dev", "/x/@latest"}; "/go/x/@latest" → {"", "/x/@latest"}. Views into `path`. Empty if it is not under /go/.
struct ViewPath {
  std::string_view view;
  std::string_view rest;
};
std::optional<ViewPath> split_view(std::string_view path);

// Content-Type of the answer.
std::string_view content_type(Request::Kind kind);

// How long an answer is fresh; empty: for good.
std::optional<std::chrono::milliseconds> time_to_live(const Request& request, const config::GoFreshness& freshness);

}  // namespace cistern::go
