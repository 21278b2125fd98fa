// TOML by a library whose types stay within this folder.
#pragma once

#include <string>
#include <string_view>
#include <toml++/toml.h>
#include <vector>

#include "base/error.hpp"

namespace cistern::runtime_files {

// kInvalid with the line and the reason.
Result<toml::table> parse_toml(std::string_view text);

// Empty unless it is there and a string.
std::string text_at(const toml::table& table, std::string_view key);
bool is_true(const toml::table& table, std::string_view key);
// Strings of an array, or the one string.
std::vector<std::string> texts_at(const toml::table& table, std::string_view key);

// The value as TOML writes it, on one line where it is no table.
std::string to_toml(const toml::node& value);
// "…" as a TOML string.
std::string toml_string(std::string_view text);

}  // namespace cistern::runtime_files
