// Sentences for people, in conditions and events: short, of one line, the same for the same input. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace cistern::reconcile {

// "1 node", "3 nodes".
std::string counted(std::size_t count, std::string_view what);

// The first few, in the order given: "a, b, c and 7 more".
std::string few(const std::vector<std::string>& names, std::size_t most = 3, std::string_view separator = ", ");

// Somebody else's words: lines are joined by "; ", control characters become spaces, what is no UTF-8 is replaced, the full stop at the end
// is left out.
std::string one_line(std::string_view text);

// At most `size` bytes, cut between characters and then ending in "…".
std::string cut(std::string text, std::size_t size);

}  // namespace cistern::reconcile
