#include "cache-agent/verify/tlog.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <optional>

#include "base/encoding.hpp"
#include "cache-agent/verify/utf8.hpp"

namespace cistern::verify {
namespace {

constexpr std::uint64_t kMaxNumber = (std::uint64_t{1} << 63) - 1;

// Decimal, shortest form only.
std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > kMaxNumber) return std::nullopt;
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  return value;
}

// The first line, without its newline, taken off `text`.
std::optional<std::string_view> take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

bool is_record_text(std::string_view text) {
  return !text.empty() && text.front() != '\n' && text.back() == '\n' && text.find("\n\n") == std::string_view::npos && is_plain_text(text);
}

}  // namespace

Hash leaf_hash(std::string_view record) {
  Sha256 hash;
  hash.update(std::string_view("\0", 1));
  hash.update(record);
  return hash.digest();
}

Hash node_hash(const Hash& left, const Hash& right) {
  std::array<std::uint8_t, 1 + 2 * sizeof(Hash::bytes)> input;
  input[0] = 1;
  std::copy(left.bytes.begin(), left.bytes.end(), input.begin() + 1);
  std::copy(right.bytes.begin(), right.bytes.end(), input.begin() + 1 + sizeof(Hash::bytes));
  return Sha256::of(std::as_bytes(std::span(input)));
}

std::vector<Node> subtrees(std::uint64_t size) {
  std::vector<Node> nodes;
  std::uint64_t before = 0;
  while (before < size) {
    const auto level = static_cast<unsigned>(std::bit_width(size - before)) - 1;
    nodes.push_back({level, before >> level});
    before += std::uint64_t{1} << level;
  }
  return nodes;
}

Hash root_of_subtrees(std::span<const Hash> hashes) {
  if (hashes.empty()) return Sha256::of(std::string_view());
  Hash root = hashes.back();
  for (std::size_t i = hashes.size() - 1; i-- > 0;) root = node_hash(hashes[i], root);
  return root;
}

Result<Tree> parse_tree(std::string_view text) {
  const auto malformed = [] { return fail(ErrorCode::kCorrupt, "malformed tree head"); };
  const auto title = take_line(text);
  const auto size_line = title ? take_line(text) : std::nullopt;
  const auto root_line = size_line ? take_line(text) : std::nullopt;
  if (!root_line || *title != "go.sum database tree") return malformed();
  const auto size = parse_number(*size_line);
  const auto root = from_base64(*root_line);
  if (!size || !root || root->size() != sizeof(Hash::bytes)) return malformed();
  Tree tree{*size, {}};
  std::copy(root->begin(), root->end(), tree.root.bytes.begin());
  return tree;
}

Result<Lookup> parse_lookup(std::string_view body) {
  const auto malformed = [](std::string_view what) { return fail(ErrorCode::kCorrupt, "malformed look-up: {}", what); };
  const auto id_line = take_line(body);
  const auto id = id_line ? parse_number(*id_line) : std::nullopt;
  if (!id) return malformed("no record number");
  const std::size_t blank = body.find("\n\n");
  if (blank == std::string_view::npos || !is_record_text(body.substr(0, blank + 1))) return malformed("no record");
  return Lookup{*id, std::string(body.substr(0, blank + 1)), std::string(body.substr(blank + 2))};
}

std::string format_record(std::uint64_t id, std::string_view text) { return fmt::format("{}\n{}\n", id, text); }

Result<std::vector<std::string_view>> split_data_tile(std::string_view body) {
  std::vector<std::string_view> texts;
  while (!body.empty()) {
    const std::size_t blank = body.find("\n\n");
    if (blank == std::string_view::npos || !is_record_text(body.substr(0, blank + 1)))
      return fail(ErrorCode::kCorrupt, "malformed data tile");
    texts.push_back(body.substr(0, blank + 1));
    body.remove_prefix(blank + 2);
  }
  return texts;
}

}  // namespace cistern::verify
