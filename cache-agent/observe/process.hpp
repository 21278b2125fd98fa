// What the kernel says about this process.
#pragma once

#include <cstddef>

#include "base/units.hpp"

namespace cistern::observe {

struct ProcessNumbers {
  Bytes resident;
  std::size_t open_files = 0;
};

// Reads /proc; zeros where that is not there. Any thread.
ProcessNumbers process_numbers();

}  // namespace cistern::observe
