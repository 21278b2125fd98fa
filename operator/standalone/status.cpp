#include "operator/standalone/status.hpp"

#include <algorithm>

namespace cistern::standalone {
namespace {

constexpr std::size_t kFillsShown = 5;

std::string plural(std::uint64_t count, std::string_view what) { return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s"); }

std::string fill_line(const Fill& fill) {
  const std::string progress =
      fill.total > 0 ? fmt::format("{:3} %", std::min<std::uint64_t>(100, fill.received * 100 / fill.total)) : "    -";
  return fmt::format("    {} {:>10}  {}  from {}", progress, human(Bytes{fill.received}), fill.key, fill.upstream);
}

std::string printable(std::string line, std::size_t width) {
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  if (line.size() > width) line.resize(width);
  return line;
}

}  // namespace

std::string hit_ratio(const AgentStatus& status) {
  const auto all = status.hits + status.misses;
  return all == 0 ? "-" : fmt::format("{:.0f} %", 100.0 * static_cast<double>(status.hits) / static_cast<double>(all));
}

std::string summary(const AgentStatus& status) {
  return fmt::format("{}, hit ratio {}, sent {}, from upstreams {}, stored {} in {}", plural(status.requests, "request"), hit_ratio(status),
                     human(status.sent), human(status.received), human(status.stored), plural(status.objects, "object"));
}

std::vector<std::string> live_lines(const View& view, const AgentStatus& status, std::size_t width) {
  std::vector<std::string> lines;
  lines.push_back(fmt::format("cistern {}  policy {}  on {}  serves {}", view.state, view.policy, view.listen, view.served));
  lines.push_back("  " + summary(status));
  std::string health;
  for (const auto& upstream : status.upstreams) {
    health += fmt::format("{}{} {}", health.empty() ? "" : ", ", upstream.name, upstream.state == "closed" ? "ok" : upstream.state);
    if (upstream.failures > 0) health += fmt::format(" ({})", plural(upstream.failures, "failure"));
  }
  if (!health.empty()) lines.push_back("  upstreams: " + health);
  if (!status.fills.empty()) lines.push_back(fmt::format("  {} in progress:", plural(status.fills.size(), "fill")));
  for (std::size_t i = 0; i < std::min(kFillsShown, status.fills.size()); ++i) lines.push_back(fill_line(status.fills[i]));
  if (status.fills.size() > kFillsShown) lines.push_back(fmt::format("    and {} more", status.fills.size() - kFillsShown));
  for (auto& line : lines) line = printable(std::move(line), width);
  return lines;
}

}  // namespace cistern::standalone
