// The lines that a checksum database has about a module's version, and how it is asked for them.
#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"

namespace cistern::verify {

// "/lookup/<module>@<version>" with each upper-case letter as '!' and its lower case. kInvalid for what is no module path or version.
Result<std::string> lookup_path(std::string_view module, std::string_view version);

// The "h1:…" that the text of a record ("<module> <version>[/go.mod] h1:…" lines) has for the zip or the go.mod. kCorrupt where it has
// none, so also for a record about another module, or two different ones.
Result<std::string> hash_in_record(std::string_view text, std::string_view module, std::string_view version, bool go_mod);

}  // namespace cistern::verify
