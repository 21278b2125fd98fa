#include "settings/settings.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>

namespace cistern::settings {

namespace {

constexpr int kInvalidInput = 2;
constexpr const char* kFileOption = "config";

std::string name_of(const CLI::Option& option) { return option.get_lnames().empty() ? option.get_name() : option.get_lnames().front(); }

bool takes_several(const CLI::Option& option) { return option.get_items_expected_max() > 1; }

}  // namespace

// Shows of each setting the value in force and where it comes from.
class HelpFormatter final : public CLI::Formatter {
 public:
  explicit HelpFormatter(Settings& settings) : settings_(settings) {}

  std::string make_option_opts(const CLI::Option* option) const override {
    const auto* setting = settings_.find(option);
    if (setting == nullptr) return CLI::Formatter::make_option_opts(option);
    return " " + option->get_type_name() + (setting->required ? " REQUIRED" : "");
  }
  std::string make_option_desc(const CLI::Option* option) const override {
    return CLI::Formatter::make_option_desc(option) + settings_.help_of(*option);
  }

 private:
  Settings& settings_;
};

std::string process_environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? "" : value;
}

Settings::Settings(CLI::App& app, Environment environment) : app_(app), environment_(std::move(environment)) { take(app); }

void Settings::take(CLI::App& command) {
  // CLI11 would take the environment for the command line, and could not tell which it was.
  for (auto* option : command.get_options()) {
    if (option->get_envname().empty()) continue;
    settings_.push_back({&command, option, option->get_envname(), option->get_required(), "", {}});
    option->envname("")->required(false);
  }
  command.formatter(std::make_shared<HelpFormatter>(*this));
  for (auto* subcommand : command.get_subcommands([](CLI::App*) { return true; })) take(*subcommand);
}

void Settings::read_file(std::string default_path) {
  has_file_ = true;
  default_path_ = std::move(default_path);
  std::vector<CLI::App*> commands;
  for (const auto& setting : settings_) {
    if (std::ranges::find(commands, setting.command) == commands.end()) commands.push_back(setting.command);
  }
  for (auto* command : commands) {
    auto* option = command->add_option(
        std::string("--") + kFileOption, path_,
        fmt::format("A file of settings, with the names of these options as keys; default: {}, if it is there", default_path_));
    settings_.push_back({command, option, "CISTERN_CONFIG", false, "", {}});
  }
}

void Settings::look_up(const CLI::Option* option, Lookup lookup) {
  if (auto* setting = find(option)) setting->lookup = std::move(lookup);
}

Settings::Setting* Settings::find(const CLI::Option* option) {
  const auto found = std::ranges::find(settings_, option, &Setting::option);
  return found == settings_.end() ? nullptr : &*found;
}

std::optional<int> Settings::parse(int argc, const char* const* argv) {
  std::optional<CLI::CallForHelp> help;
  try {
    app_.parse(argc, argv);
  } catch (const CLI::CallForHelp& asked) {
    help = asked;
  } catch (const CLI::ParseError& error) {
    return app_.exit(error) == 0 ? 0 : kInvalidInput;
  }
  Result<void> completed;
  for (const CLI::App* command = &app_; command != nullptr && completed;) {
    completed = complete(*command);
    const auto parsed = command->get_subcommands();
    command = parsed.empty() ? nullptr : parsed.front();
  }
  // A person who asks for help gets it, whatever else is wrong.
  if (help) {
    app_.exit(*help);
  } else if (completed) {
    completed = check_required();
  }
  if (!completed) {
    std::cerr << completed.error().message << '\n';
    return kInvalidInput;
  }
  return help ? std::optional(0) : std::nullopt;
}

Result<void> Settings::complete(const CLI::App& command) {
  std::vector<Setting*> own;
  for (auto& setting : settings_) {
    if (setting.command == &command) own.push_back(&setting);
  }
  // The file is known before what is in it.
  std::ranges::stable_partition(own, [](const Setting* setting) { return name_of(*setting->option) == kFileOption; });
  if (own.empty()) return {};
  if (has_file_) {
    if (auto done = complete(*own.front()); !done) return done;
    if (auto loaded = load_file(); !loaded) return loaded;
  }
  for (auto* setting : own) {
    if (auto done = complete(*setting); !done) return done;
  }
  return {};
}

Result<void> Settings::check_required() const {
  for (const auto& setting : settings_) {
    if (!setting.required || !setting.command->parsed() || setting.option->count() > 0) continue;
    const auto name = name_of(*setting.option);
    return fail(ErrorCode::kInvalid, "--{} is required; it may be {} in the environment{} too", name, setting.variable,
                has_file_ ? fmt::format(", or {} in a file of settings,", name) : "");
  }
  return {};
}

Result<void> Settings::complete(Setting& setting) {
  if (setting.option->count() > 0) {
    if (setting.source.empty()) setting.source = "the command line";
    return {};
  }
  if (auto value = environment_(setting.variable); !value.empty()) return give(setting, {{std::move(value)}, setting.variable});
  std::optional<Given> given;
  if (setting.lookup) {
    given = setting.lookup();
  } else if (file_) {
    given = file_->find(setting.command->get_name(), name_of(*setting.option));
  }
  return given && !given->values.empty() ? give(setting, *given) : Result<void>();
}

Result<void> Settings::give(Setting& setting, const Given& given) {
  try {
    for (const auto& value : given.values) setting.option->add_result(value);
    setting.option->run_callback();
  } catch (const CLI::Error& error) {
    return fail(ErrorCode::kInvalid, "{}: {}", given.source, error.what());
  }
  setting.source = given.source;
  return {};
}

Result<void> Settings::load_file() {
  std::error_code missing;
  const bool named = !path_.empty();
  if (!named && !std::filesystem::exists(default_path_, missing)) return {};
  const auto& path = named ? path_ : default_path_;
  std::ifstream in(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (!in) return fail(system_error(errno, "read the file of settings " + path));
  auto file = File::parse(text, path, known());
  if (!file) return fail(file.error());
  file_ = std::move(*file);
  return {};
}

Known Settings::known() const {
  Known known;
  for (const auto& setting : settings_) {
    const auto name = name_of(*setting.option);
    if (name != kFileOption) known[setting.command->get_name()][name] = takes_several(*setting.option);
  }
  return known;
}

std::string Settings::help_of(const CLI::Option& option) {
  const auto* setting = find(&option);
  if (setting == nullptr) return "";
  std::string value = option.get_default_str();
  if (!setting->source.empty()) value = fmt::format("{}", fmt::join(option.results(), ","));
  if (value.empty() && setting->source.empty()) return fmt::format("\n  not set ({})", setting->variable);
  const bool by_variable = setting->source == setting->variable;
  return fmt::format("\n  = {}, by {}{}", value, setting->source.empty() ? "default" : setting->source,
                     by_variable ? "" : fmt::format(" ({})", setting->variable));
}

}  // namespace cistern::settings
