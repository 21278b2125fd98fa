#include "operator/kube/leader_election.hpp"

#include <fmt/chrono.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <random>
#include <thread>

#include "operator/kube/microtime.hpp"
#include "operator/kube/pause.hpp"

namespace cistern::kube {
namespace {

// Whatever a Lease says of itself, it is not waited for longer.
constexpr std::chrono::seconds kLongestLease{60};

class Elector {
 public:
  Elector(Client& client, const Clock& clock, const ElectionOptions& options, const std::function<void(const std::string&)>& observed)
      : client_(client), clock_(clock), options_(options), observed_(observed) {}

  // Tries to hold the Lease, anew or still. False: somebody else does, or the API server can not be asked.
  bool acquire_or_renew();
  Result<void> hold(const std::function<void(std::stop_token)>& lead, const std::stop_token& stop);
  std::chrono::milliseconds pause_before_try();

 private:
  bool write(Json lease, const std::string& holder);
  bool create();
  void observe(const Json& lease);
  bool has_expired() const;
  void release();
  SteadyTime renewed_at() const { return SteadyTime(SteadyTime::duration(renewed_at_)); }

  Client& client_;
  const Clock& clock_;
  const ElectionOptions& options_;
  const std::function<void(const std::string&)>& observed_;

  Json lease_;               // as last seen; null: never
  SteadyTime changed_at_{};  // when it was last seen to have changed
  std::optional<std::string> holder_;
  std::string problem_;  // why the last try failed
  std::atomic<SteadyTime::rep> renewed_at_ = 0;
  std::minstd_rand random_{std::random_device{}()};
};

const Json& spec_of(const Json& lease) {
  static const Json kNothing = Json::object();
  const auto spec = lease.is_object() ? lease.find("spec") : lease.end();
  return lease.is_object() && spec != lease.end() && spec->is_object() ? *spec : kNothing;
}

std::string holder_of(const Json& lease) {
  const auto& spec = spec_of(lease);
  const auto holder = spec.find("holderIdentity");
  return holder != spec.end() && holder->is_string() ? holder->get<std::string>() : std::string();
}

long number_of(const Json& lease, const char* field) {
  const auto& spec = spec_of(lease);
  const auto number = spec.find(field);
  return number != spec.end() && number->is_number_integer() ? number->get<long>() : 0;
}

void Elector::observe(const Json& lease) {
  if (lease_.is_null() || spec_of(lease) != spec_of(lease_)) changed_at_ = clock_.steady();
  lease_ = lease;
  const auto holder = holder_of(lease);
  if (holder_ == holder) return;
  holder_ = holder;
  spdlog::info("leader observed holder=\"{}\" self={}", holder, holder == options_.identity);
  observed_(holder);
}

bool Elector::has_expired() const {
  const std::chrono::seconds theirs(std::clamp<long>(number_of(lease_, "leaseDurationSeconds"), 0, kLongestLease.count()));
  return clock_.steady() - changed_at_ >= std::max(options_.lease_duration, theirs);
}

bool Elector::create() {
  const Json lease{{"apiVersion", kLeases.api_version()},
                   {"kind", kLeases.kind},
                   {"metadata", {{"namespace", options_.lease.ns}, {"name", options_.lease.name}}},
                   {"spec", Json::object()}};
  return write(lease, options_.identity);
}

bool Elector::acquire_or_renew() {
  // A leader knows the Lease that it wrote, and only asks for it when somebody has touched it.
  if (holder_ == options_.identity && !lease_.is_null() && write(lease_, options_.identity)) return true;
  auto found = client_.get(kLeases, options_.lease);
  if (!found && found.error().code == ErrorCode::kNotFound) return create();
  if (!found) {
    problem_ = found.error().message;
    return false;
  }
  observe(*found);
  const auto holder = holder_of(*found);
  if (!holder.empty() && holder != options_.identity && !has_expired()) {
    problem_ = fmt::format("{} holds the Lease {}", holder, options_.lease.to_string());
    return false;
  }
  return write(std::move(*found), options_.identity);
}

// The Lease with `holder` in it; by its version, so that of two who want it one wins.
bool Elector::write(Json lease, const std::string& holder) {
  const auto begin = clock_.steady();
  const auto now = microtime(clock_.wall());
  auto& spec = lease["spec"];
  if (!spec.is_object()) spec = Json::object();
  if (holder_of(lease) != holder) {
    spec["leaseTransitions"] = number_of(lease, "leaseTransitions") + (spec.contains("acquireTime") ? 1 : 0);
    spec["acquireTime"] = now;
  }
  spec["holderIdentity"] = holder;
  spec["leaseDurationSeconds"] = holder.empty() ? 1 : options_.lease_duration.count();
  spec["renewTime"] = now;
  const auto written = metadata(lease, "resourceVersion").empty() ? client_.create(kLeases, lease) : client_.replace(kLeases, lease);
  if (!written) {
    problem_ = written.error().message;
    return false;
  }
  observe(*written);
  renewed_at_ = begin.time_since_epoch().count();
  return true;
}

std::chrono::milliseconds Elector::pause_before_try() {
  const std::chrono::milliseconds period = options_.retry_period;
  return period + std::chrono::milliseconds(std::uniform_int_distribution<long>(0, period.count() / 5)(random_));
}

void Elector::release() {
  if (holder_ == options_.identity && !write(lease_, {})) {
    spdlog::warn("the Lease could not be given back, the next leader waits for its end lease={} reason=\"{}\"", options_.lease.to_string(),
                 problem_);
  }
}

Result<void> Elector::hold(const std::function<void(std::stop_token)>& lead, const std::stop_token& stop) {
  std::stop_source leading;
  std::stop_source returned;
  std::atomic<bool> lost = false;
  const auto lose = [&] {
    lost = true;
    leading.request_stop();
    client_.interrupt();
  };
  const std::stop_callback on_stop(stop, [&] { leading.request_stop(); });
  std::jthread leader([&] {
    lead(leading.get_token());
    returned.request_stop();
  });
  // By itself, since a renewal may hang for longer than there is time.
  std::jthread watchdog([&](const std::stop_token& over) {
    while (pause_until(clock_, renewed_at() + options_.renew_deadline, over)) {
      if (clock_.steady() - renewed_at() >= options_.renew_deadline) return lose();
    }
  });
  while (!lost && pause_until(clock_, clock_.steady() + options_.retry_period, returned.get_token())) {
    if (lost || acquire_or_renew()) continue;
    if (holder_ != options_.identity) lose();  // it was taken
  }
  leader.join();
  watchdog.request_stop();
  watchdog.join();
  if (!lost) {
    release();
    return {};
  }
  return fail(ErrorCode::kConflict, "the Lease {} is lost, another process may lead now: {}", options_.lease.to_string(), problem_);
}

}  // namespace

Result<void> run_election(Client& client, const Clock& clock, const ElectionOptions& options,
                          const std::function<void(std::stop_token)>& lead, const std::function<void(const std::string& holder)>& observed,
                          const std::stop_token& stop) {
  Elector elector(client, clock, options, observed);
  while (!stop.stop_requested()) {
    if (elector.acquire_or_renew()) return elector.hold(lead, stop);
    pause_until(clock, clock.steady() + elector.pause_before_try(), stop);
  }
  return {};
}

}  // namespace cistern::kube
