// The settings of a program and where each comes from; see the folder's README. Main thread only, at the start.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "settings/file.hpp"

namespace cistern::settings {

// A variable's value; empty: it is not set.
using Environment = std::function<std::string(const std::string& name)>;
std::string process_environment(const std::string& name);

class Settings {
 public:
  // Where a setting's value in a file is looked up, once the settings before it in the command are known.
  using Lookup = std::function<std::optional<Given>()>;

  // Takes charge of every option of `app`'s commands that has an environment variable; made when all commands are there. Outlives the
  // parsing.
  explicit Settings(CLI::App& app, Environment environment = process_environment);
  Settings(const Settings&) = delete;
  Settings& operator=(const Settings&) = delete;

  // Gives every command that has settings the option --config, which is CISTERN_CONFIG too; without either, `default_path` is read if
  // there is such a file.
  void read_file(std::string default_path);
  // Of one option, instead of a settings file.
  void look_up(const CLI::Option* option, Lookup lookup);

  // Reads the command line and everything behind it into the options. Empty: go on. Else all is said, and this is the exit code: 0 after
  // --help or --version, 2 if something is wrong.
  std::optional<int> parse(int argc, const char* const* argv);

 private:
  friend class HelpFormatter;
  struct Setting {
    CLI::App* command;
    CLI::Option* option;
    std::string variable;
    bool required;
    std::string source;  // of the value in force; empty: the default
    Lookup lookup;
  };

  void take(CLI::App& command);
  Setting* find(const CLI::Option* option);
  Result<void> complete(const CLI::App& command);
  Result<void> complete(Setting& setting);
  Result<void> give(Setting& setting, const Given& given);
  Result<void> load_file();
  Result<void> check_required() const;
  Known known() const;
  std::string help_of(const CLI::Option& option);

  CLI::App& app_;
  Environment environment_;
  std::vector<Setting> settings_;
  bool has_file_ = false;
  std::string path_;  // of the settings file
  std::string default_path_;
  std::optional<File> file_;
};

}  // namespace cistern::settings
