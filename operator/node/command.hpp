// The command line of `node`.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "operator/node/node.hpp"

namespace cistern::node {

class Command {
 public:
  // Adds it to `app`, which reads into this object.
  explicit Command(CLI::App& app);
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  bool parsed() const { return app_->parsed(); }
  const std::string& log_level() const { return log_level_; }
  Result<void> execute();

 private:
  NodeSettings settings_;
  bool restore_ = false;
  std::string check_ = "60s";
  std::string log_level_ = "info";
  CLI::App* app_;
};

}  // namespace cistern::node
