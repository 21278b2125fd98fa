// The command line of `rewrite`.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "operator/rewrite/rewrite.hpp"

namespace cistern::rewrite {

class Command {
 public:
  // Adds it to `app`, which reads into this object.
  explicit Command(CLI::App& app);
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  bool parsed() const { return app_->parsed(); }
  // Whether --check has found something to change. Nothing is written unless every file could be read.
  Result<bool> execute();

 private:
  struct Job;
  Result<Mirror> mirror() const;
  Result<std::vector<Job>> jobs(const Mirror& mirror) const;
  Result<void> finish(const Job& job) const;

  std::filesystem::path policies_;
  std::string region_;
  std::string profile_;
  std::string listen_ = "127.0.0.1:5050";
  std::string registry_;
  std::string type_;
  std::filesystem::path output_;
  bool dry_run_ = false;
  bool check_ = false;
  bool undo_ = false;
  std::vector<std::string> files_;
  CLI::App* app_;
};

}  // namespace cistern::rewrite
