#include "tests/fakes/sumdb/sumdb.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <memory>
#include <fmt/format.h>

#include "base/encoding.hpp"

namespace cistern::fakes {
namespace {

std::string raw(const Digest& digest) { return {reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()}; }

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

Key signing_key(const std::array<unsigned char, 32>& bytes) {
  return {EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, bytes.data(), bytes.size()), EVP_PKEY_free};
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c >= 'A' && c <= 'Z') out += '!';
    out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return out;
}

}  // namespace

SumDb::SumDb(std::string name, std::string_view seed) : name_(std::move(name)) {
  private_key_ = Sha256::of(name_ + "/" + std::string(seed)).bytes;
  std::string public_key(33, '\1');
  std::size_t length = 32;
  if (EVP_PKEY_get_raw_public_key(signing_key(private_key_).get(), reinterpret_cast<unsigned char*>(public_key.data() + 1), &length) != 1)
    std::abort();
  key_id_ = raw(Sha256::of(name_ + "\n" + public_key)).substr(0, 4);
  const auto* id = reinterpret_cast<const std::uint8_t*>(key_id_.data());
  verifier_key_ = name_ + "+" + to_hex({id, key_id_.size()}) + "+" + to_base64(public_key);
}

std::uint64_t SumDb::add(const std::string& module, const std::string& version, const std::string& zip_h1, const std::string& mod_h1) {
  return add_text(module, version, fmt::format("{0} {1} {2}\n{0} {1}/go.mod {3}\n", module, version, zip_h1, mod_h1));
}

std::uint64_t SumDb::add_text(const std::string& module, const std::string& version, const std::string& text) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t number = texts_.size();
  texts_.push_back(text);
  if (!module.empty()) numbers_[escaped(module) + "@" + escaped(version)] = number;
  Digest node = Sha256::of(std::string(1, '\0') + text);
  for (std::size_t level = 0;; ++level) {
    if (level == levels_.size()) levels_.emplace_back();
    levels_[level].push_back(node);
    if (levels_[level].size() % 2 != 0) return number;
    node = Sha256::of("\1" + raw(levels_[level].end()[-2]) + raw(levels_[level].end()[-1]));
  }
}

void SumDb::add_filler(std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) add_text("", "", fmt::format("filler.test/m v0.0.{} h1:filler=\n", size()));
}

std::uint64_t SumDb::size() const {
  const std::lock_guard lock(mutex_);
  return texts_.size();
}

void SumDb::pin_lookup_head(std::uint64_t records) {
  const std::lock_guard lock(mutex_);
  lookup_head_ = records;
}

void SumDb::pin_latest_head(std::uint64_t records) {
  const std::lock_guard lock(mutex_);
  latest_head_ = records;
}

void SumDb::drop_narrow_tiles(bool drop) {
  const std::lock_guard lock(mutex_);
  drop_narrow_ = drop;
}

// RFC 6962, section 2.1, as it is written there.
Digest SumDb::root(std::uint64_t first, std::uint64_t count) const {
  if (count == 0) return Sha256::of(std::string_view());
  std::uint64_t half = 1;
  std::size_t level = 0;
  while (half * 2 <= count) {
    half *= 2;
    ++level;
  }
  if (half == count) return levels_[level][first >> level];
  return Sha256::of("\1" + raw(root(first, half)) + raw(root(first + half, count - half)));
}

std::string SumDb::sign(std::string_view text) const {
  const Key key = signing_key(private_key_);
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  std::string signature(64, '\0');
  std::size_t length = signature.size();
  if (EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1 ||
      EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &length,
                     reinterpret_cast<const unsigned char*>(text.data()), text.size()) != 1) {
    std::abort();
  }
  return fmt::format("{}\n\u2014 {} {}\n", text, name_, to_base64(key_id_ + signature));
}

std::string SumDb::head_locked(std::uint64_t records) const {
  return sign(fmt::format("go.sum database tree\n{}\n{}\n", records, to_base64(raw(root(0, records)))));
}

std::string SumDb::head(std::uint64_t records) const {
  const std::lock_guard lock(mutex_);
  return head_locked(records);
}

std::optional<std::string> SumDb::serve(std::string_view path) const {
  const std::lock_guard lock(mutex_);
  if (path == "/supported") return "";
  if (path == "/latest") return head_locked(latest_head_ != 0 ? latest_head_ : texts_.size());
  std::string body;
  if (path.starts_with("/lookup/")) body = lookup(std::string(path.substr(8)));
  if (path.starts_with("/tile/8/")) body = tile(path.substr(8));
  if (body.empty()) return std::nullopt;
  return body;
}

std::string SumDb::lookup(const std::string& module_at_version) const {
  const auto found = numbers_.find(module_at_version);
  if (found == numbers_.end()) return "";
  const std::uint64_t number = found->second;
  const std::uint64_t records = lookup_head_ == 0 ? texts_.size() : std::max(lookup_head_, number + 1);
  return fmt::format("{}\n{}\n", number, texts_[number]) + head_locked(records);
}

// "<level or data>/x001/234[.p/5]"
std::string SumDb::tile(std::string_view path) const {
  const bool data = path.starts_with("data/");
  const std::size_t level = data ? 0 : 8 * static_cast<std::size_t>(std::atoi(std::string(path).c_str()));
  if (level >= levels_.size()) return "";
  const std::size_t partial = path.find(".p/");
  const std::size_t width =
      partial == std::string_view::npos ? 256 : static_cast<std::size_t>(std::atoi(std::string(path.substr(partial + 3)).c_str()));
  std::uint64_t index = 0;
  for (const char c : path.substr(path.find('/'), partial == std::string_view::npos ? partial : partial - path.find('/'))) {
    if (c >= '0' && c <= '9') index = index * 10 + static_cast<std::uint64_t>(c - '0');
  }
  const std::vector<Digest>& row = levels_[level];
  const bool complete_is_there = row.size() >= index * 256 + 256;
  if (width == 0 || row.size() < index * 256 + width || (drop_narrow_ && width < 256 && complete_is_there)) return "";
  std::string body;
  for (std::uint64_t i = index * 256; i < index * 256 + width; ++i) body += data ? texts_[i] + "\n" : raw(row[i]);
  return body;
}

}  // namespace cistern::fakes
