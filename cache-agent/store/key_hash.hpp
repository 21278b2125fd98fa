// Keys as the index holds them in memory: 128 bits instead of the text.
//
// Keys carry what clients ask for, and two keys with one hash would share a right. So the hash is keyed (SipHash-2-4 with 128 bits,
// github.com/veorq/SipHash) with a secret of the process: nobody can look for a collision, and by chance there is none.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace cistern::store {

struct KeyHash {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  bool operator==(const KeyHash&) const = default;
};

class KeyHasher {
 public:
  // With a secret from the system's random generator.
  KeyHasher();
  explicit KeyHasher(std::array<std::uint64_t, 2> secret) : secret_(secret) {}
  KeyHash operator()(std::string_view key) const;

 private:
  std::array<std::uint64_t, 2> secret_;
};

}  // namespace cistern::store
