#include "cache-agent/verify/note.hpp"

#include <openssl/evp.h>

#include <charconv>
#include <memory>
#include <optional>

#include "base/digest.hpp"
#include "base/encoding.hpp"
#include "cache-agent/verify/utf8.hpp"

namespace cistern::verify {
namespace {

constexpr std::size_t kMaxNote = 1'000'000;
constexpr int kMaxSignatures = 100;
constexpr char kEd25519 = 1;
constexpr std::string_view kSignaturePrefix = "\u2014 ";  // em dash, space

std::uint32_t big_endian(std::string_view bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

std::uint32_t key_hash(std::string_view name, std::string_view algorithm_and_key) {
  const Digest digest = Sha256::of(std::string(name) + "\n" + std::string(algorithm_and_key));
  return big_endian({reinterpret_cast<const char*>(digest.bytes.data()), 4});
}

bool is_signer_name(std::string_view name) {
  if (name.empty()) return false;
  while (!name.empty()) {
    const auto code_point = take_code_point(name);
    if (!code_point || *code_point == U'+' || is_space(*code_point)) return false;
  }
  return true;
}

struct Signature {
  std::string_view name;
  std::uint32_t hash = 0;
  std::string bytes;
};

// A line "— name base64", without its newline.
std::optional<Signature> parse_signature(std::string_view line) {
  if (!line.starts_with(kSignaturePrefix)) return std::nullopt;
  line.remove_prefix(kSignaturePrefix.size());
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const auto decoded = from_base64(line.substr(space + 1));
  if (!decoded || decoded->size() < 5 || !is_signer_name(line.substr(0, space))) return std::nullopt;
  return Signature{line.substr(0, space), big_endian(*decoded), decoded->substr(4)};
}

Failure malformed(std::string_view what) { return fail(ErrorCode::kCorrupt, "malformed signed note: {}", what); }

}  // namespace

Result<VerifierKey> VerifierKey::parse(std::string_view text) {
  const auto invalid = [&](std::string_view why) {
    return fail(ErrorCode::kInvalid, "\"{}\" is not a verifier key (name+hash+key): {}", text.substr(0, 200), why);
  };
  const std::size_t first = text.find('+');
  const std::size_t second = first == std::string_view::npos ? first : text.find('+', first + 1);
  if (second == std::string_view::npos) return invalid("it has no three parts");
  const std::string_view name = text.substr(0, first);
  const std::string_view hash = text.substr(first + 1, second - first - 1);
  if (!is_signer_name(name)) return invalid("the name is empty or has white space");
  VerifierKey key;
  key.name_ = name;
  const auto [end, error] = std::from_chars(hash.data(), hash.data() + hash.size(), key.hash_, 16);
  if (hash.size() != 8 || error != std::errc() || end != hash.data() + hash.size()) return invalid("the hash is not 8 hex digits");
  const auto bytes = from_base64(text.substr(second + 1));
  if (!bytes || bytes->empty()) return invalid("the key is not base64");
  if (key.hash_ != key_hash(name, *bytes)) return invalid("the hash does not belong to the name and the key; was it mistyped?");
  if (bytes->front() != kEd25519 || bytes->size() != 1 + key.key_.size()) return invalid("only Ed25519 keys (algorithm 1) are known");
  std::copy(bytes->begin() + 1, bytes->end(), key.key_.begin());
  return key;
}

bool VerifierKey::verifies(std::string_view message, std::string_view signature) const {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key_.data(), key_.size()), EVP_PKEY_free);
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  if (!key || !context || EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1) return false;
  return EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()), signature.size(),
                          reinterpret_cast<const unsigned char*>(message.data()), message.size()) == 1;
}

Result<std::string> open_note(std::string_view message, const VerifierKey& key) {
  if (message.size() > kMaxNote) return malformed("too large");
  if (!is_plain_text(message)) return malformed("not UTF-8, or control characters");
  const std::size_t split = message.rfind("\n\n");
  if (split == std::string_view::npos) return malformed("no signatures");
  const std::string_view text = message.substr(0, split + 1);
  std::string_view lines = message.substr(split + 2);
  if (lines.empty() || lines.back() != '\n') return malformed("no newline at its end");
  bool signed_by_key = false;
  for (int count = 1; !lines.empty(); ++count) {
    if (count > kMaxSignatures) return malformed("too many signatures");
    const std::size_t end = lines.find('\n');
    const auto signature = parse_signature(lines.substr(0, end));
    lines.remove_prefix(end + 1);
    if (!signature) return malformed("a signature line that is none");
    if (signed_by_key || signature->name != key.name() || signature->hash != key.hash()) continue;
    if (!key.verifies(text, signature->bytes))
      return fail(ErrorCode::kCorrupt, "invalid signature for key {}+{:08x}", key.name(), key.hash());
    signed_by_key = true;
  }
  if (!signed_by_key) return fail(ErrorCode::kCorrupt, "the note has no signature by {}+{:08x}", key.name(), key.hash());
  return std::string(text);
}

}  // namespace cistern::verify
