// SHA-256, the only hash by which content is named here.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace cistern {

// A SHA-256 digest, as 32 raw bytes.
struct Digest {
  std::array<std::uint8_t, 32> bytes{};

  auto operator<=>(const Digest&) const = default;
  // 64 lower-case hex digits.
  std::string hex() const;
  // "sha256:<hex>", as the OCI specifications write it.
  std::string oci() const;
  // Accepts 64 lower-case hex digits only; upper case is another name for the same bytes and would split keys.
  static Result<Digest> from_hex(std::string_view hex);
  // Accepts "sha256:<64 hex digits>". Other algorithms are kInvalid, and the message says so.
  static Result<Digest> from_oci(std::string_view text);
};

struct DigestHash {
  std::size_t operator()(const Digest& digest) const {
    std::size_t value;
    std::memcpy(&value, digest.bytes.data(), sizeof value);
    return value;
  }
};

// Hashes bytes as they come. Movable; one thread at a time.
class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  ~Sha256();

  void update(std::span<const std::byte> data);
  void update(std::string_view data) { update(std::as_bytes(std::span(data))); }
  // The digest of all bytes so far; more may follow.
  Digest digest() const;

  static Digest of(std::span<const std::byte> data);
  static Digest of(std::string_view data) { return of(std::as_bytes(std::span(data))); }

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// HMAC-SHA-256.
Digest hmac_sha256(std::string_view key, std::string_view message);

// Equal in time that does not depend on where they differ.
bool equal_constant_time(std::string_view a, std::string_view b);

}  // namespace cistern
