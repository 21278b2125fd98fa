// ASCII text, as protocols have it: independent of any locale.
#pragma once

#include <string>
#include <string_view>

namespace cistern {

// A-Z become a-z; every other byte stays.
std::string lower_case(std::string_view text);
// Without spaces and tabs at both ends (RFC 9110, OWS).
std::string_view trimmed(std::string_view text);
// Without overlong forms, surrogates and what is beyond U+10FFFF.
bool is_utf8(std::string_view text);

}  // namespace cistern
