// The data plane's program: subcommands, and nothing else.
#include <unistd.h>

#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>

#include <CLI/CLI.hpp>

#include "base/units.hpp"
#include "base/version.hpp"
#include "cache-agent/serve.hpp"
#include "cache-agent/store/prepare.hpp"
#include "cache-agent/store/store.hpp"
#include "config/load.hpp"
#include "settings/settings.hpp"
#include "yaml/node.hpp"

namespace {

int check_config(const std::string& file) {
  const auto loaded = cistern::config::load(file);
  if (!loaded) {
    std::cerr << loaded.error().message << '\n';
    return 2;
  }
  std::cout << file << ": valid, hash " << loaded->hash << '\n';
  return 0;
}

// What the configuration file says; a file that is not valid is told of by whoever loads it.
std::optional<cistern::settings::Given> log_level_of(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const auto documents = cistern::yaml::parse(text, file);
  const auto* server = documents && !documents->empty() ? documents->front().find("server") : nullptr;
  const auto* level = server == nullptr ? nullptr : server->find("logLevel");
  if (level == nullptr || !level->scalar.is_string()) return std::nullopt;
  return cistern::settings::Given{{level->scalar.get<std::string>()}, level->position.to_string()};
}

int verify_store(const std::string& path) {
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  const auto progress = [terminal](std::uint64_t done, std::uint64_t all) {
    if (terminal) std::cerr << "\rread " << cistern::human({done}) << " of " << cistern::human({all}) << "   " << std::flush;
  };
  const auto report = cistern::store::check_disk_store(path, progress);
  if (terminal) std::cerr << '\n';
  if (!report) {
    std::cerr << report.error().message << '\n';
    return 1;
  }
  for (const auto& problem : report->problems) std::cout << problem << '\n';
  std::cout << report->blobs << " blobs, " << cistern::human({report->bytes}) << ", " << report->keys
            << " keys: " << (report->problems.empty() ? "sound" : std::to_string(report->problems.size()) + " problems") << '\n';
  return report->problems.empty() ? 0 : 1;
}

int prepare_store(const std::string& path, const std::string& owner) {
  const auto parsed = cistern::store::parse_owner(owner);
  const auto prepared = parsed ? cistern::store::prepare_folder(path, *parsed) : cistern::fail(parsed.error());
  if (prepared) return 0;
  std::cerr << prepared.error().message << '\n';
  return parsed ? 1 : 2;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Caches Go modules and container images. Configured by one file, which the operator writes."};
  app.set_version_flag("--version", std::string(cistern::kVersion));
  app.require_subcommand(1);

  std::string config;
  auto* serve = app.add_subcommand("serve", "Serve until SIGTERM. Reloads when the file, or a file that it names, changes.");
  serve->add_option("--config", config, "The configuration file")->required()->envname("CISTERN_CONFIG");
  std::string log_level;
  const auto* level = serve->add_option("--log-level", log_level, "trace, debug, info, warn, error or off; in the file: server.logLevel")
                          ->envname("CISTERN_LOG_LEVEL")
                          ->default_str("info");

  auto* check = app.add_subcommand("check", "Say whether a configuration file is valid, and what is wrong with it.");
  check->add_option("--config", config, "The configuration file")->required()->envname("CISTERN_CONFIG");

  std::string path;
  auto* store = app.add_subcommand("store", "Look after the cache folder.");
  store->require_subcommand(1);
  auto* verify =
      store->add_subcommand("verify", "Read every object and check it against its digest and the index. No agent may be using the folder.");
  verify->add_option("--path", path, "The cache folder (storage.path of the configuration)")->required();

  std::string owner;
  auto* prepare = store->add_subcommand("prepare", "Make the cache folder, and give it to the user as which the agent will run.");
  prepare->add_option("--path", path, "The cache folder (storage.path of the configuration)")->required();
  prepare->add_option("--owner", owner, "UID:GID, as numbers")->required();

  cistern::settings::Settings settings(app);
  settings.look_up(level, [&] { return log_level_of(config); });
  if (const auto ended = settings.parse(argc, argv)) return *ended;
  if (serve->parsed()) return cistern::serve(config, log_level);
  if (check->parsed()) return check_config(config);
  return prepare->parsed() ? prepare_store(path, owner) : verify_store(path);
}
