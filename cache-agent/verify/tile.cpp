#include "cache-agent/verify/tile.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

namespace cistern::verify {
namespace {

constexpr std::string_view kRoot = "/tile/8/";
constexpr int kMaxLevel = 7;  // 8·(7+1) = 64 bits

std::optional<std::uint64_t> digits(std::string_view text, std::size_t max_length) {
  std::uint64_t value = 0;
  if (text.empty() || text.size() > max_length) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "x001/x234/067" → 1234067.
std::optional<std::uint64_t> parse_index(std::string_view text) {
  std::uint64_t index = 0;
  for (int groups = 1;; ++groups) {
    const std::size_t slash = text.find('/');
    const bool last = slash == std::string_view::npos;
    std::string_view group = text.substr(0, slash);
    if (!last) {
      if (!group.starts_with('x')) return std::nullopt;
      group.remove_prefix(1);
    }
    const auto value = digits(group, 3);
    if (!value || group.size() != 3 || groups > 6) return std::nullopt;  // six groups: 10^18 < 2^63
    index = index * 1000 + *value;
    if (last) return index;
    text.remove_prefix(slash + 1);
  }
}

// Bits by which an index within a tile level counts records.
unsigned level_shift(int level) { return Tile::kHeight * static_cast<unsigned>(std::max(level, 0)); }

// Whether a log of less than 2^63 records can have it.
bool reachable(const Tile& tile) {
  const std::uint64_t nodes = tile.index * Tile::kWidth + tile.width;
  const std::uint64_t limit = std::uint64_t{1} << 63;
  return tile.index <= (limit >> Tile::kHeight) && nodes <= (limit - 1) >> level_shift(tile.level);
}

// The root over `count` hashes, a power of two, from position `first` on.
Hash fold(std::string_view bytes, std::size_t first, std::size_t count) {
  std::vector<Hash> row(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::string_view hash = bytes.substr((first + i) * Tile::kHashSize, Tile::kHashSize);
    std::copy(hash.begin(), hash.end(), row[i].bytes.begin());
  }
  for (; count > 1; count /= 2) {
    for (std::size_t i = 0; i < count / 2; ++i) row[i] = node_hash(row[2 * i], row[2 * i + 1]);
  }
  return row.front();
}

}  // namespace

Result<Tile> Tile::parse(std::string_view path) {
  const auto unknown = [&] { return fail(ErrorCode::kNotFound, "no tile \"{}\"", path.substr(0, 200)); };
  if (!path.starts_with(kRoot)) return unknown();
  std::string_view rest = path.substr(kRoot.size());
  const std::size_t slash = rest.find('/');
  if (slash == std::string_view::npos) return unknown();
  const std::string_view level = rest.substr(0, slash);
  rest.remove_prefix(slash + 1);
  Tile tile;
  if (level == "data") {
    tile.level = kData;
  } else {
    const auto value = digits(level, 1);
    if (!value || *value > kMaxLevel) return unknown();
    tile.level = static_cast<int>(*value);
  }
  if (const std::size_t partial = rest.find(".p/"); partial != std::string_view::npos) {
    const auto width = digits(rest.substr(partial + 3), 3);
    if (!width || *width == 0 || *width >= kWidth) return unknown();
    tile.width = static_cast<unsigned>(*width);
    rest = rest.substr(0, partial);
  }
  const auto index = parse_index(rest);
  if (!index) return unknown();
  tile.index = *index;
  if (!reachable(tile) || tile.path() != path) return unknown();
  return tile;
}

std::string Tile::path() const {
  std::string text = fmt::format("{:03}", index % 1000);
  for (std::uint64_t rest = index / 1000; rest > 0; rest /= 1000) text = fmt::format("x{:03}/{}", rest % 1000, text);
  const std::string level_text = level == kData ? "data" : std::to_string(level);
  const std::string partial = width == kWidth ? "" : fmt::format(".p/{}", width);
  return fmt::format("{}{}/{}{}", kRoot, level_text, text, partial);
}

std::uint64_t Tile::records() const { return (index * kWidth + width) << level_shift(level); }

Tile tile_of(const Node& node, std::uint64_t size) {
  Tile tile;
  tile.level = static_cast<int>(node.level / Tile::kHeight);
  const unsigned above = node.level % Tile::kHeight;  // levels between the tile's hashes and the node
  tile.index = node.index >> (Tile::kHeight - above);
  const std::uint64_t nodes = size >> level_shift(tile.level);
  const std::uint64_t before = tile.index * Tile::kWidth;
  tile.width = nodes <= before ? 0 : static_cast<unsigned>(std::min<std::uint64_t>(nodes - before, Tile::kWidth));
  return tile;
}

Hash hash_in_tile(const Tile& tile, std::string_view bytes, const Node& node) {
  const unsigned above = node.level - level_shift(tile.level);
  return fold(bytes, static_cast<std::size_t>((node.index << above) - tile.index * Tile::kWidth), std::size_t{1} << above);
}

Hash root_of_complete_tile(std::string_view bytes) { return fold(bytes, 0, Tile::kWidth); }

}  // namespace cistern::verify
