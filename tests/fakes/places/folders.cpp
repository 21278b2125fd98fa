#include <cstdlib>

#include "tests/fakes/places/places.hpp"

namespace cistern::fakes {

std::filesystem::path source_folder() { return CISTERN_SOURCE_DIR; }

std::string program(const std::string& name) {
  const char* folder = std::getenv("CISTERN_BIN_DIR");
  return std::string(folder != nullptr ? folder : CISTERN_BIN_DIR) + "/" + name;
}

}  // namespace cistern::fakes
