// `cache-agent serve`: the parts put together, and kept until a signal says stop.
#pragma once

#include <filesystem>
#include <string>

namespace cistern {

// Blocks until SIGTERM or SIGINT and a drain. SIGHUP, or a change of any file of the configuration, reloads. Gives the exit code: 0, 1
// where something could not be opened, 2 for a configuration that is not valid. `log_level`, if there is one, comes before the file's.
// Called once, from main's thread, before any other thread.
int serve(const std::filesystem::path& config_file, const std::string& log_level = {});

}  // namespace cistern
