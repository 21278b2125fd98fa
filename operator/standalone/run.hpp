// `cistern-operator standalone`: prepares the data folder, supervises the agent, follows changes of the policies, until a signal.
#pragma once

#include <filesystem>
#include <string>

#include "base/error.hpp"
#include "operator/plan/machine.hpp"

namespace cistern::standalone {

struct Options {
  std::filesystem::path policies;
  std::filesystem::path data;
  std::string listen;           // HOST:PORT; the admin listener is the next port on loopback
  std::filesystem::path agent;  // the cache-agent program
  plan::MachinePlace place;     // the region and profile of this machine
};

// Returns when SIGINT, SIGTERM or SIGHUP has ended the agent. Errors are those of the start: kInvalid for policies, else what failed.
// Blocks those signals in the calling thread, which must be the main one and the first.
Result<void> run(const Options& options);

}  // namespace cistern::standalone
