// Who owns an object: rendezvous hashing (highest random weight). Each member gets a score from its name and the object's key, and the
// highest owns it; so all who know the same members agree without talking, and a member that comes or goes moves only its own share. Pure;
// any thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace cistern::peers {

// 64 bits of SHA-256; the same on every machine and in every version, or a mixed fleet would disagree about owners.
std::uint64_t stable_hash(std::string_view text);

// The score of a member for a key, both as stable_hash() gives them.
std::uint64_t score(std::uint64_t member, std::uint64_t key);

}  // namespace cistern::peers
