// The agent's file → Config, strictly, and back. Any thread; blocks on the disk.
//
// Fields are written as in a MirrorPolicy (camelCase): policy, listeners, server, storage, go.views[], images.registries[], selection,
// timeouts, retries, breaker, rateLimit, peers; config/describe.hpp names each. Files and folders that it names are relative to its own
// folder:
//   credentials: NAME     the folder NAME with `username` and `password`, or `token`, or `.dockerconfigjson` (the entry for the upstream's
//                         host is taken); if none of these is there, the files NAME.username, NAME.password, NAME.token,
//                         NAME..dockerconfigjson beside it, as one Secret without folders has them
//   caFile: FILE          PEM
//   peers.keyFile: FILE   at least 16 bytes; FILE.previous beside it, if there, is accepted too
// One line break at the end of a secret is not part of it.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "config/model.hpp"

namespace cistern::config {

// kInvalid: everything that is wrong, one line each: "FILE:LINE: path.to.field: what is wrong; what would be right". kIo or kNotFound
// if the file itself can not be read.
Result<Loaded> load(const std::filesystem::path& file);

// What load(folder / name) will give where `contents` (path below the folder → bytes) are mounted at `folder`: the same configuration, the
// same hash. The disk is not looked at.
Result<Loaded> load_mounted(const std::map<std::string, std::string>& contents, const std::filesystem::path& folder,
                            const std::string& name = "agent.yaml");

// The same for a text whose files lie in `folder`; `name` is what errors call it.
Result<Loaded> parse(std::string_view yaml, const std::filesystem::path& folder, const std::string& name = "agent.yaml");

// Fields at their defaults are left out, and secrets are never written, only their folders and files. parse(to_yaml(c)) gives c
// for every loaded c.
std::string to_yaml(const Config& config);

}  // namespace cistern::config
