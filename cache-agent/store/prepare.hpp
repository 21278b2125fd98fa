// Makes a folder of the host ready for an agent that is not root.
#pragma once

#include <filesystem>
#include <string_view>

#include <sys/types.h>

#include "base/error.hpp"

namespace cistern::store {

struct Owner {
  uid_t user = 0;
  gid_t group = 0;
  bool operator==(const Owner&) const = default;
};

// "65532:65532"
Result<Owner> parse_owner(std::string_view text);

// The folder exists, is `owner`'s with mode 0700, and so is everything in it (modes of what is inside stay). The folder itself is changed
// last: one that is right already is left alone, with all that it holds, so that this costs nothing at an agent's next start. Links are
// changed, not followed. Needs the right to change owners if any is to be changed. Blocks on the disk; one process at a time.
Result<void> prepare_folder(const std::filesystem::path& path, Owner owner);

}  // namespace cistern::store
