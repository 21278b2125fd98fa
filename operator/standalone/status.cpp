#include "operator/standalone/status.hpp"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

namespace cistern::standalone {
namespace {

constexpr std::size_t kFillsShown = 5;

// The value of a label in "{a=\"x\",b=\"y\"}"; names and values of ours hold no escapes.
std::string_view label(std::string_view labels, std::string_view name) {
  const std::string wanted = fmt::format("{}=\"", name);
  for (auto at = labels.find(wanted); at != std::string_view::npos; at = labels.find(wanted, at + 1)) {
    if (at > 0 && labels[at - 1] != ',' && labels[at - 1] != '{') continue;
    const auto begin = at + wanted.size();
    return labels.substr(begin, labels.find('"', begin) - begin);
  }
  return {};
}

void add_metric(std::string_view name, std::string_view labels, std::uint64_t value, AgentStatus& status) {
  if (name == "cistern_requests_total") {
    // Without an ecosystem it is about the agent itself: health, and the numbers that we ask for.
    if (label(labels, "ecosystem").empty()) return;
    const auto result = label(labels, "result");
    status.requests += value;
    if (result == "hit" || result == "stale" || result == "revalidated") status.hits += value;
    if (result == "miss") status.misses += value;
  } else if (name == "cistern_sent_bytes_total") {
    status.sent.count += value;
  } else if (name == "cistern_upstream_received_bytes_total") {
    status.received.count += value;
  } else if (name == "cistern_store_bytes") {
    status.stored.count += value;
  } else if (name == "cistern_store_objects") {
    status.objects += value;
  }
}

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

void read_metrics(std::string_view text, AgentStatus& status) {
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto space = line.rfind(' ');
    if (line.empty() || line[0] == '#' || space == std::string_view::npos) continue;
    const auto brace = std::min(line.find('{'), space);
    double value = 0;
    std::from_chars(line.data() + space + 1, line.data() + line.size(), value);
    if (!(value >= 0) || value > 9e18) continue;
    add_metric(line.substr(0, brace), line.substr(brace, space - brace), static_cast<std::uint64_t>(value), status);
  }
}

Result<void> read_status(std::string_view text, AgentStatus& status) {
  try {
    const auto json = nlohmann::json::parse(text);
    for (const auto& fill : json.at("fills")) {
      const auto& total = fill.at("total");  // null while it is not known
      status.fills.push_back(
          {fill.at("key"), fill.at("received"), total.is_null() ? 0 : total.get<std::uint64_t>(), fill.value("upstream", "")});
    }
    for (const auto& upstream : json.at("upstreams")) {
      status.upstreams.push_back({upstream.at("name"), upstream.at("state"), upstream.value("failures", std::uint64_t{0})});
    }
    return {};
  } catch (const nlohmann::json::exception& error) {
    return fail(ErrorCode::kUpstream, "the agent's status is not understood: {}", error.what());
  }
}

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
