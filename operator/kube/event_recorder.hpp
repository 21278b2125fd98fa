// Events that people see with `kubectl describe`. Recording never blocks and never fails: events are written by a thread of its own, those
// like one of the last ten minutes only count up (series, written at most once a minute), no object gets more than 25 at once and one in
// five minutes after that, and what the API server will not take is dropped with a line in the log.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "operator/kube/client.hpp"

namespace cistern::kube {

enum class EventType { kNormal, kWarning };

// Thread-safe.
class EventRecorder {
 public:
  virtual ~EventRecorder() = default;
  // `object` is what it is about (kind, apiVersion, metadata); `reason` and `action` are CamelCase words; `note` is a sentence for a
  // person, cut at 1 kB, without secrets.
  virtual void record(const Json& object, EventType type, std::string_view reason, std::string_view action, std::string note) = 0;
};

struct RecorderOptions {
  std::string controller = "cistern.dev/operator";
  std::string instance;        // the pod's name
  std::string ns = "default";  // of events about objects without a namespace; the API takes `default` and `kube-system` only
};

// Ends after writing what it has, within a second, unless a call hangs: that is waited for (see Client::interrupt).
std::unique_ptr<EventRecorder> make_event_recorder(Client& client, const Clock& clock, RecorderOptions options);

}  // namespace cistern::kube
