#include "operator/inspect/explain.hpp"

#include <algorithm>

namespace cistern::inspect {
namespace {

constexpr std::size_t kWidest = 60;  // of a value, to what comes behind it

void print(const char* title, const std::vector<Fact>& facts, std::string& out) {
  if (facts.empty()) return;
  std::size_t names = 0, values = 0;
  for (const auto& fact : facts) {
    names = std::max(names, fact.name.size());
    values = std::max(values, std::min(fact.value.size(), kWidest));
  }
  out += fmt::format("\n{}:\n", title);
  for (const auto& fact : facts) {
    if (fact.origin.empty()) {
      out += fmt::format("  {:<{}}  {}\n", fact.name, names, fact.value);
    } else {
      out += fmt::format("  {:<{}}  {:<{}}  # {}\n", fact.name, names, fact.value, values, fact.origin);
    }
  }
}

void print(const Verdict& verdict, std::string& out) {
  const bool used = verdict.used();
  if (used && !verdict.unread.empty()) {
    out += fmt::format("\nWhether the cache is used for {} can not be told without reading {}{}\n", verdict.of,
                       fmt::join(verdict.unread, ", "), verdict.causes.empty() ? "." : "; known:");
  } else {
    const char* more = verdict.causes.empty() ? "." : used ? "; worth knowing:" : ":";
    out += fmt::format("\nThe cache is {} for {}{}\n", used ? "used" : "not used", verdict.of, more);
  }
  auto causes = verdict.causes;
  // What stops it first.
  std::ranges::stable_sort(causes, {}, [](const Cause& cause) { return !cause.stops; });
  for (const auto& cause : causes) {
    out += fmt::format("  - {}.{}\n", cause.why, cause.todo.empty() ? "" : " To do: " + cause.todo);
  }
}

Json facts_json(const std::vector<Fact>& facts) {
  Json list = Json::array();
  for (const auto& fact : facts) list.push_back({{"name", fact.name}, {"value", fact.value}, {"origin", fact.origin}});
  return list;
}

}  // namespace

bool Verdict::used() const { return std::ranges::none_of(causes, &Cause::stops); }

std::string to_text(const Explained& explained) {
  std::string out = fmt::format("{} {}\n", explained.kind, explained.name);
  print("Policy", explained.policy, out);
  if (!explained.settings.empty()) out += "\nSettings:\n";
  for (const auto& value : explained.settings) out += fmt::format("  {} = {}  # {}\n", value.path, value.value, value.origin);
  print(explained.kind == "namespace" ? "New pods get" : "Applied", explained.applied, out);
  for (const auto& verdict : explained.verdicts) print(verdict, out);
  if (!explained.unread.empty()) out += "\nCould not be read, so that something may be missing above:\n";
  for (const auto& line : explained.unread) out += fmt::format("  {}\n", line);
  return out;
}

Json to_json(const Explained& explained) {
  Json settings = Json::array();
  for (const auto& value : explained.settings) {
    auto parsed = Json::parse(value.value, nullptr, false);
    settings.push_back(
        {{"path", value.path}, {"value", parsed.is_discarded() ? Json(value.value) : std::move(parsed)}, {"origin", value.origin}});
  }
  Json caches = Json::array();
  for (const auto& verdict : explained.verdicts) {
    Json causes = Json::array();
    for (const auto& cause : verdict.causes) causes.push_back({{"why", cause.why}, {"todo", cause.todo}, {"stops", cause.stops}});
    caches.push_back({{"of", verdict.of},
                      {"used", verdict.used() && !verdict.unread.empty() ? Json() : Json(verdict.used())},
                      {"causes", std::move(causes)}});
  }
  return {{"kind", explained.kind},
          {"name", explained.name},
          {"policy", facts_json(explained.policy)},
          {"settings", std::move(settings)},
          {"applied", facts_json(explained.applied)},
          {"caches", std::move(caches)},
          {"unread", explained.unread}};
}

}  // namespace cistern::inspect
