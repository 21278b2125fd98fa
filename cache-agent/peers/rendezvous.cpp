#include "cache-agent/peers/rendezvous.hpp"

#include "base/digest.hpp"

namespace cistern::peers {

std::uint64_t stable_hash(std::string_view text) {
  const auto digest = Sha256::of(text);
  std::uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | digest.bytes[static_cast<std::size_t>(i)];
  return value;
}

std::uint64_t score(std::uint64_t member, std::uint64_t key) {
  // The finalizer of SplitMix64: every bit of the input moves half of the output's.
  auto z = member ^ key;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

}  // namespace cistern::peers
