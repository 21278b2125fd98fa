// Patterns over keys, as purge takes them.
#pragma once

#include <string_view>

namespace cistern::store {

// '*' is any text, '/' included, '?' any one byte; everything else is itself. The whole key must match.
bool matches_key_glob(std::string_view glob, std::string_view key);

}  // namespace cistern::store
