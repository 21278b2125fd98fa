// From a folder of policies to the files for the data folder; reads, writes nothing. Any thread.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "config/model.hpp"
#include "operator/plan/machine.hpp"
#include "operator/standalone/agent_http.hpp"

namespace cistern::standalone {

struct Prepared {
  plan::MachinePlan plan;
  std::map<std::string, std::string> files;  // path below the data folder → content
  std::string hash;                          // what the agent answers with once this is in force
  std::vector<std::string> watched;          // what it was made from: files and folders, absolute
};

// `listen` is the agent's HOST:PORT. The agent's file is read back as the agent will read it, with the credentials in `data`, so that
// what is wrong is told before anything is written. Errors are whole messages, one line for each thing that is wrong.
Result<Prepared> prepare(const std::filesystem::path& policies, const std::filesystem::path& data, const std::string& listen,
                         const plan::MachinePlace& place = {});

// The same without credentials and the check by the agent's eyes, for commands that only print.
Result<Prepared> preview(const std::filesystem::path& policies, const std::string& listen, const plan::MachinePlace& place = {});

// What to watch when prepare() has failed, so that mending is noticed.
std::vector<std::string> watched_policies(const std::filesystem::path& policies);

}  // namespace cistern::standalone
