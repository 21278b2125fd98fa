// Who may have a module through a view, and who is asked for it. Pure; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "config/model.hpp"
#include "cache-agent/ecosystem/go/request.hpp"

namespace cistern::go {

struct Access {
  bool denied = false;
  std::string deny_pattern;     // the one that denies
  bool private_module = false;  // a `private` pattern matches
  bool exempt = false;          // not to be looked up in the checksum database: `sumDB.exempt`, or private
  bool verify = false;          // to be looked up: mode Verify, and neither exempt nor private
  // Indexes into the view's upstreams, in order. A private module is asked only of upstreams with a pattern that names it, never by "*".
  // Empty for a denied module.
  std::vector<std::size_t> upstreams;
};

Access access(const config::GoView& view, std::string_view module);

// access() of a module request, as an answer: kForbidden for a denied module, kNotFound for one that no upstream of the view serves;
// the messages say which pattern, and what to do.
Result<Access> allow(const config::GoView& view, const Request& request);

// For sumdb requests: kNotFound for a database that is not the view's (or with mode Off), and for look-ups of private and exempt
// modules; kForbidden for look-ups of denied ones. Nobody is to be dialled then.
Result<void> allow_sumdb(const config::GoView& view, const Request& request);

}  // namespace cistern::go
