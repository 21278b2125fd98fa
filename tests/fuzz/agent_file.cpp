// link: cistern_config
// The agent's file: refused, or a configuration that is written and read back as the same.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "config/load.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cistern;
  const auto loaded = config::parse(std::string_view(reinterpret_cast<const char*>(data), size), "/nonexistent");
  if (!loaded) return 0;
  const auto again = config::parse(config::to_yaml(loaded->config), "/nonexistent");
  if (!again || !(again->config == loaded->config)) std::abort();
  return 0;
}
