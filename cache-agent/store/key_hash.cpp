#include "cache-agent/store/key_hash.hpp"

#include <bit>
#include <cstring>
#include <random>

namespace cistern::store {
namespace {

struct State {
  std::uint64_t v0, v1, v2, v3;

  void round() {
    v0 += v1, v1 = std::rotl(v1, 13), v1 ^= v0, v0 = std::rotl(v0, 32);
    v2 += v3, v3 = std::rotl(v3, 16), v3 ^= v2;
    v0 += v3, v3 = std::rotl(v3, 21), v3 ^= v0;
    v2 += v1, v1 = std::rotl(v1, 17), v1 ^= v2, v2 = std::rotl(v2, 32);
  }
  void take(std::uint64_t word) {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
  std::uint64_t give() {
    for (int i = 0; i < 4; ++i) round();
    return v0 ^ v1 ^ v2 ^ v3;
  }
};

}  // namespace

KeyHasher::KeyHasher() {
  std::random_device random;
  for (std::uint64_t& word : secret_) word = (std::uint64_t{random()} << 32) | random();
}

KeyHash KeyHasher::operator()(std::string_view key) const {
  State state{secret_[0] ^ 0x736f6d6570736575ULL, secret_[1] ^ 0x646f72616e646f6dULL ^ 0xee, secret_[0] ^ 0x6c7967656e657261ULL,
              secret_[1] ^ 0x7465646279746573ULL};
  const std::uint64_t length = key.size();
  while (key.size() >= 8) {
    std::uint64_t word;
    std::memcpy(&word, key.data(), 8);
    state.take(word);
    key.remove_prefix(8);
  }
  std::uint64_t last = 0;
  std::memcpy(&last, key.data(), key.size());
  state.take(last | (length << 56));
  state.v2 ^= 0xee;
  KeyHash hash;
  hash.low = state.give();
  state.v1 ^= 0xdd;
  hash.high = state.give();
  return hash;
}

}  // namespace cistern::store
