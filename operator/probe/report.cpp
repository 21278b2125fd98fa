#include "operator/probe/report.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

namespace cistern::probe {
namespace {

using std::chrono::microseconds;
using Row = std::array<std::string, 8>;

double milliseconds(microseconds time) { return static_cast<double>(time.count()) / 1000; }

std::string shown(std::optional<microseconds> time) { return time ? fmt::format("{:.1f} ms", milliseconds(*time)) : "-"; }

std::string shown_speed(std::optional<double> speed) { return speed ? fmt::format("{:.1f} MiB/s", *speed / (1 << 20)) : "-"; }

nlohmann::json number(std::optional<microseconds> time) {
  return time ? nlohmann::json(std::round(milliseconds(*time) * 10) / 10) : nlohmann::json();
}

}  // namespace

void sort(std::vector<Measured>& all) {
  std::map<std::string, std::size_t> lists;  // in the order of the policy
  for (const auto& one : all) lists.emplace(one.target.list, lists.size());
  const auto rank = [&](const Measured& one) {
    const auto time = one.first_byte ? *one.first_byte + *one.jitter : microseconds::max();
    return std::make_tuple(lists.at(one.target.list), one.answered == 0, time);
  };
  std::stable_sort(all.begin(), all.end(), [&](const Measured& a, const Measured& b) { return rank(a) < rank(b); });
}

std::string table(const std::vector<Measured>& all) {
  std::vector<Row> rows = {{"FOR", "UPSTREAM", "CONNECT", "TTFB", "TOTAL", "JITTER", "THROUGHPUT", "ANSWERED"}};
  for (const auto& one : all) {
    auto answered = fmt::format("{} of {}", one.answered, one.asked);
    if (!one.error.empty()) answered += ": " + one.error;
    rows.push_back({one.target.list, one.target.upstream.name, shown(one.connect), shown(one.first_byte), shown(one.total),
                    shown(one.jitter), shown_speed(one.throughput), std::move(answered)});
  }
  std::array<std::size_t, 8> widths{};
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const bool is_number = i >= 2 && i < 7;
      line += is_number ? fmt::format("{:>{}}  ", row[i], widths[i]) : fmt::format("{:<{}}  ", row[i], widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  }
  return text;
}

std::string json(const std::vector<Measured>& all) {
  auto list = nlohmann::json::array();
  for (const auto& one : all) {
    list.push_back({{"list", one.target.list},
                    {"upstream", one.target.upstream.name},
                    {"url", one.target.upstream.url},
                    {"asked", one.asked},
                    {"answered", one.answered},
                    {"connect_ms", number(one.connect)},
                    {"ttfb_ms", number(one.first_byte)},
                    {"total_ms", number(one.total)},
                    {"jitter_ms", number(one.jitter)},
                    {"throughput_bytes_per_second", one.throughput ? nlohmann::json(std::round(*one.throughput)) : nlohmann::json()},
                    {"error", one.error}});
  }
  return list.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + '\n';
}

}  // namespace cistern::probe
