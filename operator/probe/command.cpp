#include "operator/probe/command.hpp"

#include <unistd.h>

#include <cstdio>

#include "config/load.hpp"
#include "operator/model/parse.hpp"
#include "operator/plan/machine.hpp"
#include "operator/probe/measure.hpp"
#include "operator/probe/report.hpp"
#include "operator/render/agent.hpp"

namespace cistern::probe {
namespace {

// Without a data folder: upstreams are asked without credentials, and by the CAs of this machine.
void forget_references(config::Config& config) {
  const auto forget = [](std::vector<config::Upstream>& upstreams) {
    for (auto& upstream : upstreams) upstream.credentials_folder = upstream.ca_file = "";
  };
  for (auto& view : config.go_views) forget(view.upstreams);
  for (auto& registry : config.registries) forget(registry.upstreams);
}

// As the agent of a node of this region and profile would have it.
Result<config::Config> configuration(const std::filesystem::path& file, const std::string& region, const std::string& profile,
                                     const std::filesystem::path& data) {
  const auto policies = model::load_policies(file);
  if (!policies) return fail(policies.error());
  auto plan = plan::plan_machine(*policies, {region, profile});
  if (!plan) return fail(plan.error());
  // Its own view, as the only one.
  plan->go = plan->effective.settings.go;
  plan->views.clear();
  auto config = render::agent_config(*plan, {"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:1"});
  if (data.empty()) forget_references(config);
  // Read as the agent would: names filled in, credentials and CAs from the data folder.
  auto loaded = config::parse(config::to_yaml(config), data.empty() ? std::filesystem::path(".") : data, file.string());
  if (!loaded) return fail(loaded.error());
  return std::move(loaded->config);
}

}  // namespace

Command::Command(CLI::App& app) : app_(app.add_subcommand("probe", "Ask a policy's upstreams from here, and print how fast they are")) {
  app_->add_option("--policy,--policies", policy_, "The MirrorPolicy's file, or a folder of them")->envname("CISTERN_POLICIES")->required();
  app_->add_option("--region", region_, "As a node of this region asks");
  app_->add_option("--profile", profile_, "As a node of this profile asks");
  app_->add_option("--count", count_, "How often each is asked")->check(CLI::Range(1, 1000))->capture_default_str();
  app_->add_option("--format", format_, "table or json")->check(CLI::IsMember({"table", "json"}))->capture_default_str();
  app_->add_option("--module", module_, "Public module, as MODULE@VERSION, whose archive tells the throughput of Go proxies; empty: none")
      ->capture_default_str();
  app_->add_option("--data", data_, "Folder with credentials/NAME/ for what the policy refers to; without it they are not used")
      ->envname("CISTERN_DATA");
}

std::optional<Result<int>> Command::execute() const {
  if (!app_->parsed()) return std::nullopt;
  return run();
}

Result<int> Command::run() const {
  const auto config = configuration(policy_, region_, profile_, data_);
  if (!config) return fail(config.error());
  const auto all = targets(*config, module_);
  if (all.empty()) return fail(ErrorCode::kInvalid, "{}: the policy names no upstream", policy_.string());
  Plan plan;
  plan.count = count_;
  plan.timeouts = config->timeouts;
  const bool on_screen = ::isatty(STDERR_FILENO) != 0;
  auto measured = measure(all, plan, [&](std::size_t done, std::size_t of, const std::string& upstream) {
    if (on_screen) fmt::print(stderr, "\r\033[K{} of {}: {}", done + 1, of, upstream);
  });
  if (on_screen) fmt::print(stderr, "\r\033[K");
  sort(measured);
  fmt::print("{}", format_ == "json" ? json(measured) : table(measured));
  return std::all_of(measured.begin(), measured.end(), [](const Measured& one) { return one.answered == one.asked; }) ? 0 : 1;
}

}  // namespace cistern::probe
