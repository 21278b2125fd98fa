#include "cache-agent/store/key_glob.hpp"

namespace cistern::store {

bool matches_key_glob(std::string_view glob, std::string_view key) {
  std::size_t g = 0, k = 0;
  std::size_t star = std::string_view::npos, resume = 0;  // the last '*', and where what follows it is tried next
  while (k < key.size()) {
    if (g < glob.size() && glob[g] == '*') {
      star = g++;
      resume = k;
    } else if (g < glob.size() && (glob[g] == '?' || glob[g] == key[k])) {
      ++g, ++k;
    } else if (star != std::string_view::npos) {
      g = star + 1;
      k = ++resume;
    } else {
      return false;
    }
  }
  while (g < glob.size() && glob[g] == '*') ++g;
  return g == glob.size();
}

}  // namespace cistern::store
