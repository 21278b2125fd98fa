#include "operator/inspect/doctor.hpp"

#include <algorithm>

#include "operator/reconcile/words.hpp"

namespace cistern::inspect {
namespace {

constexpr std::size_t kNamesShown = 5;

const char* word(Level level) {
  switch (level) {
    case Level::kOk: return "ok";
    case Level::kWarning: return "warning";
    case Level::kProblem: return "problem";
    case Level::kUnknown: break;
  }
  return "unknown";
}

std::size_t count(const Lines& lines, Level level) { return static_cast<std::size_t>(std::ranges::count(lines, level, &Line::level)); }

}  // namespace

void Grouped::add(Level level, const std::string& name, const std::string& message, const std::string& todo) {
  names_[{level, message, todo}].push_back(name);
}

void Grouped::append_to(Lines& lines) const {
  for (const auto& [key, names] : names_) {
    const auto& [level, message, todo] = key;
    lines.push_back({level, check_,
                     fmt::format("{}{} {}: {}", kind_, names.size() == 1 ? "" : "s", reconcile::few(names, kNamesShown), message), todo});
  }
}

std::string why_not_ready(const reconcile::AgentPod& pod) {
  if (pod.ready) return "";
  if (!pod.unschedulable.empty()) return reconcile::one_line(pod.unschedulable);
  auto why = pod.waiting_reason;
  if (!pod.waiting_message.empty()) why += (why.empty() ? "" : ": ") + reconcile::one_line(pod.waiting_message);
  if (!pod.last_end.empty()) why += (why.empty() ? "" : "; ") + std::string("it ended with ") + reconcile::one_line(pod.last_end);
  if (why.empty() && pod.terminating) why = "it is being deleted";
  return why.empty() ? "it has started and is not ready yet" : why;
}

Lines diagnose(const World& world) {
  Lines all;
  for (const auto check : {check_api_server, check_operator, check_policies, check_references, check_nodes, check_node_program,
                           check_agents, check_host_ports, check_services, check_webhook, check_certificate, check_namespaces, check_dns}) {
    auto lines = check(world);
    std::ranges::move(lines, std::back_inserter(all));
  }
  return all;
}

bool has_problem(const Lines& lines) { return count(lines, Level::kProblem) > 0; }

std::string to_text(const Lines& lines) {
  std::size_t width = 0;
  for (const auto& line : lines) width = std::max(width, line.check.size());
  std::string all;
  for (const auto& line : lines) {
    all += fmt::format("{:<8} {:<{}}  {}", word(line.level), line.check, width, line.message);
    if (!line.todo.empty()) all += fmt::format(". To do: {}", line.todo);
    all += '\n';
  }
  all += fmt::format("\n{}, {}", reconcile::counted(count(lines, Level::kProblem), "problem"),
                     reconcile::counted(count(lines, Level::kWarning), "warning"));
  if (const auto unknown = count(lines, Level::kUnknown); unknown > 0) all += fmt::format(", {} not known", unknown);
  return all + '\n';
}

Json to_json(const Lines& lines) {
  Json checks = Json::array();
  for (const auto& line : lines) {
    checks.push_back({{"check", line.check}, {"level", word(line.level)}, {"message", line.message}, {"todo", line.todo}});
  }
  return {{"checks", std::move(checks)},
          {"problems", count(lines, Level::kProblem)},
          {"warnings", count(lines, Level::kWarning)},
          {"unknown", count(lines, Level::kUnknown)}};
}

}  // namespace cistern::inspect
