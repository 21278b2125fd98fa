#include "tests/fakes/agent_process/agent.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <set>
#include <sstream>

namespace cistern::fakes {
namespace {

std::string section(const std::string& name, const std::string& text) { return text.empty() ? "" : name + ": " + text + "\n"; }

}  // namespace

Agent::Agent(AgentSetup setup) : setup_(std::move(setup)) {
  node_ = {setup_.host, free_port(setup_.host)};
  pods_ = {setup_.host, free_port(setup_.host)};
  admin_ = {setup_.host, free_port(setup_.host)};
}

std::filesystem::path Agent::storage() const {
  return setup_.storage_path.empty() ? folder_ / "store" : std::filesystem::path(setup_.storage_path);
}

std::string Agent::configuration() const {
  return "policy: test\n"
         "listeners: {node: \"" +
         node_.text() + "\", pods: \"" + pods().text() + "\", admin: \"" + admin_.text() + "\"" +
         (setup_.listeners.empty() ? "" : ", " + setup_.listeners) +
         "}\n"
         "storage: {path: \"" +
         storage().string() + "\", minFree: 1%" + (setup_.storage.empty() ? "" : ", " + setup_.storage) + "}\n" + "server: {threads: 2" +
         (setup_.server.empty() ? "" : ", " + setup_.server) + "}\n" + section("timeouts", setup_.timeouts) +
         section("breaker", setup_.breaker) + section("rateLimit", setup_.rate_limit) + section("selection", setup_.selection) +
         section("go", setup_.go) + section("images", setup_.images) + section("peers", setup_.peers) +
         "retries: " + std::to_string(setup_.retries) + "\n";
}

bool Agent::start() {
  process_.reset();
  write_file(configuration_file(), configuration());
  // A proxy of the machine's must not come between the agent and the scripted upstream.
  process_ = std::make_unique<Process>(
      Command{.arguments = {program("cache-agent"), "serve", "--config", configuration_file().string()},
              .environment = {"http_proxy", "https_proxy", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy", "ALL_PROXY"}},
      folder_ / "log");
  const auto ready = [&] {
    if (!process_->running()) return true;
    for (const auto& listener : {node_, pods(), admin_}) {
      if (fetch(listener, "GET", "/healthz", {}, std::chrono::seconds(1)).status != 200) return false;
    }
    return true;
  };
  if (!setup_.listeners.empty()) {  // TLS: the admin listener tells
    return eventually([&] { return !process_->running() || get(admin_, "/healthz").status == 200; }, std::chrono::seconds(20)) &&
           process_->running();
  }
  return eventually(ready, std::chrono::seconds(20)) && process_->running();
}

std::optional<int> Agent::stop(std::chrono::milliseconds limit) {
  process_->signal(SIGTERM);
  return process_->wait(limit);
}

bool Agent::reload(std::chrono::milliseconds limit) {
  const auto before = health();
  write_file(configuration_file(), configuration());
  return eventually([&] { return health() != before; }, limit);
}

namespace {

// "name{b="1",a="2"} 3" → the name and its labels, whatever their order.
std::set<std::string> parts_of(std::string series) {
  std::replace(series.begin(), series.end(), '{', ',');
  std::erase(series, '}');
  std::set<std::string> parts;
  std::istringstream fields(series);
  for (std::string part; std::getline(fields, part, ',');) parts.insert(part);
  return parts;
}

bool same_series(const std::string& line, const std::string& series) {
  return parts_of(line.substr(0, line.rfind(' '))) == parts_of(series);
}

}  // namespace

std::optional<double> Agent::metric(const std::string& name) const {
  std::istringstream lines(get(admin_, "/metrics").body);
  for (std::string line; std::getline(lines, line);) {
    if (same_series(line, name)) return std::strtod(line.c_str() + line.rfind(' '), nullptr);
  }
  return std::nullopt;
}

}  // namespace cistern::fakes
