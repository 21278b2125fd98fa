// One of several replicas leads: whoever holds a Lease. Judged by the change of the Lease that this process has seen, on its own steady
// clock, never by the times written in it, so that skewed clocks do no harm (client-go's leaderelection).
#pragma once

#include <chrono>
#include <functional>
#include <stop_token>
#include <string>

#include "base/clock.hpp"
#include "operator/kube/client.hpp"

namespace cistern::kube {

struct ElectionOptions {
  ObjectKey lease;
  std::string identity;                     // of this process: the pod's name and something random
  std::chrono::seconds lease_duration{15};  // a Lease that has not changed for this long may be taken
  std::chrono::seconds renew_deadline{10};  // a leader that can not renew for this long has lost
  std::chrono::seconds retry_period{2};
};

// Blocks. Waits until this process leads, calls `lead` with a token on a thread of its own, and renews until `stop` is asked for or
// `lead` returns (the Lease is given back after that, and the result is success) or the Lease is lost: the token is stopped, `client` is
// interrupted, and the result, once `lead` has returned, is an error: the process must exit, since what it still does may collide with the
// next leader. `observed` is called with the holder's identity whenever it changes.
//
// `client` should have a time limit of half the renew deadline or less, so that one call that hangs does not lose the Lease.
Result<void> run_election(Client& client, const Clock& clock, const ElectionOptions& options,
                          const std::function<void(std::stop_token)>& lead, const std::function<void(const std::string& holder)>& observed,
                          const std::stop_token& stop);

}  // namespace cistern::kube
