// The command line of `run` and `uninstall`.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "operator/run/run.hpp"
#include "operator/run/uninstall.hpp"

namespace cistern::run {

class Commands {
 public:
  // Adds both to `app`, which reads into this object.
  explicit Commands(CLI::App& app);
  Commands(const Commands&) = delete;
  Commands& operator=(const Commands&) = delete;

  // Does what was asked for on the command line; empty if that was neither.
  std::optional<Result<void>> execute();
  const std::string& log_level() const { return log_level_; }

 private:
  Settings settings_;
  UninstallSettings uninstall_;
  std::string resync_ = "10m";
  std::string cleanup_ = "2m";
  std::string heartbeat_ = "5m";
  std::string timeout_ = "2m";
  std::string log_level_ = "info";
  CLI::App* run_;
  CLI::App* remove_;
};

}  // namespace cistern::run
