// Module paths and versions, and their escaped forms, by the rules of golang.org/x/mod/module and golang.org/x/mod/semver. Pure;
// any thread.
#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"

namespace cistern::go {

// "github.com/BurntSushi/toml" ⇄ "github.com/!burnt!sushi/toml": an upper-case letter is '!' and its lower-case form, so that file systems
// that ignore case keep modules apart.
std::string escape(std::string_view text);
// kInvalid for an upper-case letter, "!!", a '!' that no lower-case letter follows, and anything that is not ASCII.
Result<std::string> unescape(std::string_view escaped);

// module.CheckPath: kInvalid, with the rule that is broken.
Result<void> check_module_path(std::string_view path);
// Whether a version may be asked for: a tag, branch or hash as module.CheckFilePath's elements have it, in ASCII and without '!' and '%'.
Result<void> check_version(std::string_view version);

// semver.IsValid: "v1", "v1.2" and build metadata are valid.
bool is_semver(std::string_view version);
// vX.Y.Z, vX.Y.Z-pre, pseudo-versions, and each with "+incompatible": what names one content for good (module.CanonicalVersion(v) == v).
bool is_canonical(std::string_view version);
// A version made of a time and a revision: v0.0.0-20191109021931-daa7c04131f5.
bool is_pseudo_version(std::string_view version);

}  // namespace cistern::go
