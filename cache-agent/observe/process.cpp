#include "cache-agent/observe/process.hpp"

#include <filesystem>
#include <fstream>
#include <system_error>

#include <unistd.h>

namespace cistern::observe {

ProcessNumbers process_numbers() {
  ProcessNumbers numbers;
  std::uint64_t total_pages = 0;
  std::uint64_t resident_pages = 0;
  if (std::ifstream statm("/proc/self/statm"); statm >> total_pages >> resident_pages) {
    numbers.resident = Bytes{resident_pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE))};
  }
  std::error_code error;
  auto entry = std::filesystem::directory_iterator("/proc/self/fd", error);
  for (const std::filesystem::directory_iterator end; !error && entry != end; entry.increment(error)) ++numbers.open_files;
  if (numbers.open_files > 0) --numbers.open_files;  // the one that reads the folder
  return numbers;
}

}  // namespace cistern::observe
