// Image references as people write them ([HOST/]NAME[:TAG][@DIGEST], github.com/distribution/reference), and the same by way of a mirror.
// Pure.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

namespace cistern::rewrite {

struct Mirror {
  std::string address;                            // HOST:PORT, as references have it
  std::set<std::string, std::less<>> registries;  // that it serves
};

enum class Direction { kToMirror, kBack };

// The first `size` bytes of a reference, which are its name, become `name`.
struct Renaming {
  std::size_t size;
  std::string name;
};

// Nothing if the reference stays as it is: its registry is not the mirror's, or it leads there already. The error says why one that may
// be meant can not be changed.
tl::expected<std::optional<Renaming>, std::string> rename_reference(std::string_view reference, const Mirror& mirror, Direction direction);

}  // namespace cistern::rewrite
