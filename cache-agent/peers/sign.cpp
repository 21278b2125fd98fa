#include "cache-agent/peers/sign.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

#include <openssl/rand.h>

#include "base/digest.hpp"
#include "base/encoding.hpp"

namespace cistern::peers {
namespace {

// The parts of a header, as they were written.
struct Parts {
  std::string_view version, key, time, nonce, hop, mac;
};

std::string key_id(std::string_view key) { return hmac_sha256(key, "cistern peer key id").hex().substr(0, 16); }

// Each part with its length before it, so that no two requests give the same text.
std::string canonical(const Signable& request, const Parts& parts) {
  std::string text = "cistern peer request 1";
  for (const auto part : {request.method, request.target, request.scope, parts.key, parts.time, parts.nonce, parts.hop}) {
    text += fmt::format("\n{}:{}", part.size(), part);
  }
  return text;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.size() > 12) return std::nullopt;
  return value;
}

std::optional<Parts> split(std::string_view header) {
  if (header.ends_with(';')) return std::nullopt;
  Parts parts;
  const std::array<std::pair<std::string_view, std::string_view*>, 6> fields = {{{"v=", &parts.version},
                                                                                 {"key=", &parts.key},
                                                                                 {"time=", &parts.time},
                                                                                 {"nonce=", &parts.nonce},
                                                                                 {"hop=", &parts.hop},
                                                                                 {"mac=", &parts.mac}}};
  for (const auto& [name, value] : fields) {
    const auto end = std::min(header.find(';'), header.size());
    const auto field = header.substr(0, end);
    if (!field.starts_with(name)) return std::nullopt;
    *value = field.substr(name.size());
    header.remove_prefix(std::min(end + 1, header.size()));
  }
  if (!header.empty() || parts.version != "1" || parts.nonce.size() != 32 || parts.mac.size() != 64) return std::nullopt;
  return parts;
}

template <std::size_t N>
std::optional<std::array<std::uint8_t, N>> from_hex(std::string_view text) {
  std::array<std::uint8_t, N> bytes{};
  for (std::size_t i = 0; i < N; ++i) {
    const auto pair = text.substr(2 * i, 2);
    if (pair.find_first_not_of("0123456789abcdef") != std::string_view::npos) return std::nullopt;
    std::from_chars(pair.data(), pair.data() + 2, bytes[i], 16);
  }
  return bytes;
}

}  // namespace

std::string sign(const Signable& request, unsigned hop, std::string_view key, WallTime now) {
  std::array<std::uint8_t, 16> random{};
  RAND_bytes(random.data(), static_cast<int>(random.size()));
  const auto id = key_id(key);
  const auto time = std::to_string(now.time_since_epoch().count());
  const auto nonce = to_hex(random);
  const auto hops = std::to_string(hop);
  const auto mac = hmac_sha256(key, canonical(request, {"1", id, time, nonce, hops, ""})).hex();
  return fmt::format("v=1;key={};time={};nonce={};hop={};mac={}", id, time, nonce, hops, mac);
}

std::size_t Verifier::NonceHash::operator()(const Nonce& nonce) const {
  std::size_t value;
  std::memcpy(&value, nonce.data(), sizeof value);
  return value;
}

Result<unsigned> Verifier::verify(const Signable& request, std::string_view header, const Keys& keys, WallTime now) {
  const auto parts = split(header);
  const auto refuse = [](std::string_view why) { return fail(ErrorCode::kForbidden, "a peer's request was refused: {}", why); };
  if (!parts) return refuse("its signature is malformed");
  const auto time = number(parts->time);
  const auto hop = number(parts->hop);
  const auto nonce = from_hex<16>(parts->nonce);
  if (!time || !hop || !nonce) return refuse("its signature is malformed");

  // A key that is not set has no id: otherwise everyone could sign with the empty one.
  const std::string* key = nullptr;
  for (const auto* candidate : {&keys.previous, &keys.current}) {
    if (!candidate->empty() && key_id(*candidate) == parts->key) key = candidate;
  }
  if (key == nullptr) return refuse("it is signed with a key that is not this group's");
  if (!equal_constant_time(hmac_sha256(*key, canonical(request, *parts)).hex(), parts->mac)) return refuse("its signature is wrong");

  const auto difference = now.time_since_epoch() - std::chrono::seconds(static_cast<std::int64_t>(*time));
  if (difference > kMaxSkew || difference < -kMaxSkew) return refuse("its time is more than 30 s off; compare the clocks of the nodes");
  if (*hop > kMaxHops) return refuse("it has passed too many agents");
  if (auto remembered = remember(*nonce, now); !remembered) return fail(remembered.error());
  return static_cast<unsigned>(*hop);
}

Result<void> Verifier::remember(const Nonce& nonce, WallTime now) {
  const std::lock_guard lock(mutex_);
  if (now - generation_began_ > 2 * kMaxSkew) {
    // Longer than two generations ago: nothing that is remembered can still be in time.
    if (now - generation_began_ > 4 * kMaxSkew) young_.clear();
    old_ = std::move(young_);
    young_.clear();
    generation_began_ = now;
  }
  if (young_.contains(nonce) || old_.contains(nonce))
    return fail(ErrorCode::kForbidden, "a peer's request was refused: it was sent before");
  if (young_.size() >= max_nonces_) return fail(ErrorCode::kUnavailable, "too many requests of peers in a minute");
  young_.insert(nonce);
  return {};
}

}  // namespace cistern::peers
