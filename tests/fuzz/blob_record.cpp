// link: cistern_store
// What may stand at the end of a blob file after a crash, or after damage: any bytes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "cache-agent/store/blob_record.hpp"

namespace {

using namespace cistern;
using namespace cistern::store;

void require(bool holds) {
  if (!holds) std::abort();
}

// Whole records around the input: what was torn or damaged must not take them along, nor add a key that nobody recorded.
void among_whole_records(std::span<const std::byte> input) {
  const Digest digest = Sha256::of("content");
  const auto record = encode_record({7, digest, {{false, 1, {"key", {"type", "headers"}, {}}}}});
  require(record.has_value());
  std::string region = *record;
  region.append(reinterpret_cast<const char*>(input.data()), input.size());
  const RecordRegion torn = read_records(std::as_bytes(std::span(region)), 7, digest);
  require(torn.length >= record->size() && torn.length <= region.size());
  require(find_last_record(std::as_bytes(std::span(region)), digest).has_value());

  const std::size_t middle = region.size();
  const auto later = encode_record({7, digest, {{false, ~std::uint64_t{0}, {"later", {}, {}}}}});
  region += *later;
  const RecordRegion damaged = read_records(std::as_bytes(std::span(region)), 7, digest);
  require(damaged.length == region.size());
  require(std::ranges::any_of(damaged.live, [](const RecordEntry& entry) { return entry.record.key == "later"; }));
  require(damaged.damaged == (torn.length != middle) || torn.damaged);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span(data, size));
  if (const auto decoded = decode_record(input)) {
    require(decoded->length <= size);
    // What can be read can be written, and is the same then; but for texts that only a forger would have written.
    if (const auto again = encode_record(decoded->record)) {
      const auto third = decode_record(std::as_bytes(std::span(*again)));
      require(third && third->record.entries.size() == decoded->record.entries.size() && third->length == again->size());
    }
  }
  among_whole_records(input);
  return 0;
}
