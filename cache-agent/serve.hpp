// `cache-agent serve`: the parts put together, and kept until a signal says stop.
#pragma once

#include <filesystem>

namespace cistern {

// Blocks until SIGTERM or SIGINT and a drain. SIGHUP, or a change of any file of the configuration, reloads. Gives the exit code: 0, 1
// where something could not be opened, 2 for a configuration that is not valid. Called once, from main's thread, before any other thread.
int serve(const std::filesystem::path& config_file);

}  // namespace cistern
