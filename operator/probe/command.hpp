// The command line of `probe`.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>
#include <string>

#include "base/error.hpp"

namespace cistern::probe {

class Command {
 public:
  // `app` outlives this.
  explicit Command(CLI::App& app);
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  // Empty: it was not asked for. Else the exit code: 0 if every upstream answers, 1 if not.
  std::optional<Result<int>> execute() const;

 private:
  Result<int> run() const;

  CLI::App* app_;
  std::filesystem::path policy_;
  std::filesystem::path data_;
  std::string region_;
  std::string profile_;
  unsigned count_ = 5;
  std::string format_ = "table";
  std::string module_ = "golang.org/x/text@v0.14.0";
};

}  // namespace cistern::probe
