// The agents of a group, as one of them sees them: who they are (a static list, or the addresses behind a name, looked up again as they
// expire), how they do, and so whom to ask for an object.
//
// Health is local opinion: a peer that failed is passed over for a second, then two, up to thirty, and then asked again. While it is passed
// over its objects fall to the next in rank, so a dead owner costs one time limit, not one for each request.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "cache-agent/peers/resolver.hpp"
#include "config/model.hpp"

namespace cistern::peers {

// One peer, for the status.
struct PeerState {
  std::string address;
  std::string zone;
  bool self = false;
  bool passed_over = false;
};

// Thread-safe.
class Directory {
 public:
  // With a DNS name, a thread looks it up until the Directory is destroyed; until the first answer there are no peers. `clock` outlives it.
  Directory(const config::Peers& configuration, const Clock& clock, std::unique_ptr<Resolver> resolver = make_system_resolver(),
            std::vector<std::string> own_addresses = local_addresses());
  ~Directory();
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  // Whom to ask for the object of this key, the owner first; HOST:PORT, two at most, never this agent. Empty if this agent is the owner, or
  // is alone: then ask the upstream. Members of this agent's own zone come before others, so objects cross zones only where a zone has
  // nobody.
  std::vector<std::string> owners(std::string_view key) const;

  // What came of asking. Failures: time limit, refused, reset, 5xx, signature not accepted. A "not found" is an answer.
  void failed(std::string_view address);
  void ok(std::string_view address);

  // This agent's own address in the list; empty if it is not in it.
  std::string self() const;
  std::vector<PeerState> peers() const;

 private:
  struct Member {
    std::string address;
    std::string zone;
    std::uint64_t hash = 0;
    bool self = false;
    unsigned failures = 0;
    SteadyTime passed_over_until{};
  };

  void set_members(std::vector<config::Peer> peers);
  bool is_self(const std::string& address) const;
  void follow_name();
  std::chrono::seconds look_up();

  const config::Peers configuration_;
  const Clock& clock_;
  const std::unique_ptr<Resolver> resolver_;
  const std::vector<std::string> own_addresses_;

  mutable std::mutex mutex_;
  std::condition_variable stop_changed_;
  bool stop_ = false;
  bool lookup_failed_ = false;  // of follow_name()'s thread: logged once
  std::vector<Member> members_;
  std::thread thread_;
};

}  // namespace cistern::peers
