// What an upstream answered, checked before it is stored or passed on. Pure; any thread. The errors are kUpstream: nonsense from an
// upstream is a 502, never a "not found".
#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/units.hpp"
#include "cache-agent/ecosystem/go/request.hpp"

namespace cistern::go {

// Bounds on answers that are read as a whole. A zip is at most as large as `go` accepts (golang.org/x/mod/zip.MaxZipFile); go.mod likewise.
constexpr Bytes kMaxInfo = kib(64);
constexpr Bytes kMaxList = mib(4);
constexpr Bytes kMaxMod = mib(16);
constexpr Bytes kMaxZip = mib(500);
constexpr Bytes kMaxLookup = kib(64);
constexpr Bytes kMaxTile = kib(64);
Bytes size_limit(Request::Kind kind);

// What a .info or @latest says; its bytes are passed on as they are, since re-encoding would drop Origin.
struct Info {
  std::string version;  // canonical
  std::string time;     // RFC 3339 as sent; may be empty
};
// Checks the answer to a kInfo or kLatest request: a JSON object with a canonical Version, the one asked for if that was canonical.
Result<Info> check_info(const Request& request, std::string_view body);

// Checks the answer to a kList request: a version a line, as `go` reads it (the first field counts). Gives the text back as it is, but
// without lines that hold a pseudo-version (the protocol forbids them, some proxies send them) or no version at all. An answer in which
// nothing is a version, such as a captive portal's page, is an error; an empty one is right.
Result<std::string> check_list(std::string_view body);

}  // namespace cistern::go
