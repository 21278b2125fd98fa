#include <algorithm>

#include "operator/reconcile/status.hpp"

namespace cistern::reconcile {
namespace {

using nlohmann::json;

struct Seen {
  std::string status;
  std::string reason;
  std::string message;

  bool same_state(const Seen& other) const { return status == other.status && reason == other.reason; }
};

// Empty if there is no such condition.
Seen condition_in(const json& status, std::string_view type) {
  if (!status.is_object() || !status.contains("conditions") || !status["conditions"].is_array()) return {};
  const auto text = [](const json& condition, const char* name) {
    const auto found = condition.find(name);
    return found != condition.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  for (const auto& condition : status["conditions"]) {
    if (condition.is_object() && text(condition, "type") == type) {
      return {text(condition, "status"), text(condition, "reason"), text(condition, "message")};
    }
  }
  return {};
}

class Events {
 public:
  // One for each reason: what is not accepted is neither ready nor does it go on, for the same reason.
  void add(bool warning, const std::string& reason, const std::string& note) {
    const bool told = std::any_of(events_.begin(), events_.end(), [&](const StatusEvent& event) { return event.reason == reason; });
    if (!told) events_.push_back({warning, reason, note});
  }
  std::vector<StatusEvent> take() { return std::move(events_); }

 private:
  std::vector<StatusEvent> events_;
};

// Not ready, and not because it is on its way.
bool ready_is_bad(const Seen& ready) {
  const bool on_its_way = ready.reason == "RollingOut" || ready.reason == "Planning" || ready.reason == "Deleting";
  return ready.status == "Unknown" || (ready.status == "False" && !on_its_way);
}

bool is_bad(std::string_view type, const Seen& seen) {
  if (type == "Accepted") return seen.status == "False";
  if (type == "Ready") return ready_is_bad(seen);
  if (type == "Reconciling") return seen.status == "True" && seen.reason == "ApplyFailed";
  return seen.status == "True";  // Stalled, Degraded, Overridden
}

}  // namespace

std::vector<StatusEvent> status_events(const json& before, const json& after) {
  Events events;
  for (const auto* type : {"Accepted", "Stalled", "Ready", "Reconciling", "Degraded", "Overridden"}) {
    const auto was = condition_in(before, type);
    const auto is = condition_in(after, type);
    const bool other_mistake = std::string_view(type) == "Accepted" && was.message != is.message;
    if (is_bad(type, is) && (!is.same_state(was) || other_mistake)) events.add(true, is.reason, is.message);
  }
  const auto recovered = [&](const char* type) {
    return is_bad(type, condition_in(before, type)) && !is_bad(type, condition_in(after, type));
  };
  const auto ready = condition_in(after, "Ready");
  for (const auto* type : {"Accepted", "Ready"}) {
    const auto is = condition_in(after, type);
    if (is.status == "True" && !is.same_state(condition_in(before, type))) events.add(false, is.reason, is.message);
  }
  if (recovered("Stalled") && ready.status != "True" && !ready_is_bad(ready)) events.add(false, ready.reason, ready.message);
  if (recovered("Reconciling") && ready.status == "True") events.add(false, "Applied", "What could not be written has been written.");
  if (recovered("Degraded")) events.add(false, "Recovered", condition_in(after, "Degraded").message);
  if (recovered("Overridden")) events.add(false, "NotOverridden", condition_in(after, "Overridden").message);
  return events.take();
}

}  // namespace cistern::reconcile
