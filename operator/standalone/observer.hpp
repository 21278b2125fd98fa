// Asks the agent how it is, in a thread of its own, so that a slow answer never holds up signals or a changed policy.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "operator/standalone/agent_http.hpp"
#include "operator/standalone/status.hpp"

namespace cistern::standalone {

struct Observation {
  std::string health;                 // the body of /healthz, which names the hash in force; empty: no answer
  std::optional<AgentStatus> status;  // empty: the admin listener did not answer
};

class Observer {
 public:
  // Health every 100 ms; numbers every `numbers`.
  Observer(AgentAddress address, std::chrono::milliseconds numbers);
  ~Observer();

  // What was last seen. Any thread.
  Observation latest() const;

 private:
  void run(std::chrono::milliseconds numbers);

  const AgentAddress address_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  Observation latest_;     // guarded by mutex_
  bool stopping_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace cistern::standalone
