// link: cistern_verify
// What a checksum database, or a proxy before it, may answer: notes, heads, look-ups, data tiles; and the paths and keys that users give.
// The first byte says what the rest is.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "cache-agent/verify/note.hpp"
#include "cache-agent/verify/sumdb_record.hpp"
#include "cache-agent/verify/tile.hpp"
#include "cache-agent/verify/tile_reading.hpp"
#include "cache-agent/verify/tlog.hpp"

namespace {

using namespace cistern::verify;

void require(bool holds) {
  if (!holds) std::abort();
}

void read_lookup(std::string_view text, const VerifierKey& key) {
  const auto lookup = parse_lookup(text);
  if (!lookup) return;
  require(text.ends_with(lookup->head) && format_record(lookup->id, lookup->text).ends_with(lookup->text + "\n"));
  (void)hash_in_record(lookup->text, "rsc.io/quote", "v1.5.2", false);
  (void)open_note(lookup->head, key);
}

void read_tree(std::string_view text) {
  const auto tree = parse_tree(text);
  if (!tree) return;
  const auto reading = TileReading::plan(*tree, {Node{0, tree->size / 2}});
  if (!reading) return;
  for (const Tile& tile : reading->tiles()) require(Tile::parse(tile.path()) == tile);
}

void read_tile_path(std::string_view text) {
  const auto tile = Tile::parse(text);
  if (tile) require(tile->path() == text && tile->records() > 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const VerifierKey key = VerifierKey::parse("sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8").value();
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 6) {
    case 0: (void)open_note(text, key); break;
    case 1: read_lookup(text, key); break;
    case 2: read_tree(text); break;
    case 3: read_tile_path(text); break;
    case 4: (void)VerifierKey::parse(text); break;
    default: (void)split_data_tile(text);
  }
  return 0;
}
