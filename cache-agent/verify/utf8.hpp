// The text rules that notes, records and file names in module zips share: UTF-8 without control characters.
#pragma once

#include <optional>
#include <string_view>

namespace cistern::verify {

// Takes the first code point off `text`; nothing, and `text` untouched, where it is empty or does not start with well-formed
// UTF-8 (overlong forms, surrogates and values above U+10FFFF are malformed).
std::optional<char32_t> take_code_point(std::string_view& text);

// Well-formed UTF-8 without characters below U+0020 other than newline.
bool is_plain_text(std::string_view text);

// White space as Unicode has it.
bool is_space(char32_t code_point);

}  // namespace cistern::verify
