#include "cache-agent/peers/directory.hpp"

#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

#include "cache-agent/peers/rendezvous.hpp"

namespace cistern::peers {
namespace {

constexpr std::size_t kMaxOwners = 2;
constexpr std::chrono::seconds kShortestTtl{1};
constexpr std::chrono::seconds kLongestTtl{30};
constexpr std::chrono::seconds kAfterFailure{5};
constexpr std::chrono::seconds kFirstBackoff{1};
constexpr std::chrono::seconds kLongestBackoff{30};

// "host:port" → both; an IPv6 address stands in brackets.
std::pair<std::string, std::string> split_address(std::string_view address) {
  const auto colon = address.rfind(':');
  auto host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return {std::string(host), colon == std::string_view::npos ? std::string() : std::string(address.substr(colon + 1))};
}

std::string join_address(const std::string& host, const std::string& port) {
  return host.find(':') == std::string::npos ? host + ":" + port : "[" + host + "]:" + port;
}

std::chrono::seconds backoff(unsigned failures) { return std::min(kLongestBackoff, kFirstBackoff * (1 << std::min(failures - 1, 10U))); }

}  // namespace

Directory::Directory(const config::Peers& configuration, const Clock& clock, std::unique_ptr<Resolver> resolver,
                     std::vector<std::string> own_addresses)
    : configuration_(configuration), clock_(clock), resolver_(std::move(resolver)), own_addresses_(std::move(own_addresses)) {
  if (!configuration_.enabled) return;
  if (configuration_.dns.empty()) {
    set_members(configuration_.list);
  } else {
    thread_ = std::thread(&Directory::follow_name, this);
  }
}

Directory::~Directory() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stop_changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::vector<std::string> Directory::owners(std::string_view key) const {
  struct Ranked {
    const Member* member;
    bool near;
    std::uint64_t score;
    bool operator>(const Ranked& other) const {
      if (near != other.near) return near;
      if (score != other.score) return score > other.score;
      return member->address > other.member->address;
    }
  };
  const auto hash = stable_hash(key);
  const auto now = clock_.steady();
  const std::lock_guard lock(mutex_);
  std::vector<Ranked> best;  // the highest first; one more than is given, as this agent may be among them
  for (const auto& member : members_) {
    if (!member.self && member.passed_over_until > now) continue;
    const Ranked ranked{&member, !configuration_.zone.empty() && member.zone == configuration_.zone, score(member.hash, hash)};
    best.insert(std::upper_bound(best.begin(), best.end(), ranked, std::greater<>()), ranked);
    if (best.size() > kMaxOwners + 1) best.pop_back();
  }
  std::vector<std::string> addresses;
  for (const auto& ranked : best) {
    if (ranked.member->self || addresses.size() == kMaxOwners) break;
    addresses.push_back(ranked.member->address);
  }
  return addresses;
}

void Directory::failed(std::string_view address) {
  const auto now = clock_.steady();
  const std::lock_guard lock(mutex_);
  for (auto& member : members_) {
    // Those who asked at the same time learn of one failure, not of many.
    if (member.address != address || member.passed_over_until > now) continue;
    ++member.failures;
    member.passed_over_until = now + backoff(member.failures);
    spdlog::warn("peer passed over peer={} for={}s failures={}", member.address, backoff(member.failures).count(), member.failures);
  }
}

void Directory::ok(std::string_view address) {
  const std::lock_guard lock(mutex_);
  for (auto& member : members_) {
    if (member.address != address || member.failures == 0) continue;
    member.failures = 0;
    member.passed_over_until = {};
    spdlog::info("peer is back peer={}", member.address);
  }
}

std::string Directory::self() const {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(members_.begin(), members_.end(), [](const Member& member) { return member.self; });
  return found == members_.end() ? std::string() : found->address;
}

std::vector<PeerState> Directory::peers() const {
  const auto now = clock_.steady();
  const std::lock_guard lock(mutex_);
  std::vector<PeerState> states;
  states.reserve(members_.size());
  for (const auto& member : members_) states.push_back({member.address, member.zone, member.self, member.passed_over_until > now});
  return states;
}

bool Directory::is_self(const std::string& address) const {
  if (!configuration_.self.empty()) return address == configuration_.self;
  const auto [host, port] = split_address(address);
  return std::find(own_addresses_.begin(), own_addresses_.end(), host) != own_addresses_.end();
}

// Those who stay keep their health.
void Directory::set_members(std::vector<config::Peer> peers) {
  std::vector<Member> members;
  members.reserve(peers.size());
  for (auto& peer : peers) {
    Member member;
    member.hash = stable_hash(peer.address);
    member.self = is_self(peer.address);
    member.address = std::move(peer.address);
    member.zone = std::move(peer.zone);
    members.push_back(std::move(member));
  }
  const std::lock_guard lock(mutex_);
  for (auto& member : members) {
    const auto known = std::find_if(members_.begin(), members_.end(), [&](const Member& old) { return old.address == member.address; });
    if (known == members_.end()) continue;
    member.failures = known->failures;
    member.passed_over_until = known->passed_over_until;
  }
  members_ = std::move(members);
}

void Directory::follow_name() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    lock.unlock();
    const auto pause = look_up();
    lock.lock();
    stop_changed_.wait_for(lock, pause, [this] { return stop_; });
  }
}

// Looks the name up once; gives the time until the next. What was known stays in force when that fails: the agents are most likely there,
// the name server is not.
std::chrono::seconds Directory::look_up() {
  const auto [host, port] = split_address(configuration_.dns);
  const auto found = resolver_->resolve(host);
  if (!found) {
    if (!std::exchange(lookup_failed_, true))
      spdlog::warn("peers not found, the last known stay name={} error=\"{}\"", host, found.error().message);
    return kAfterFailure;
  }
  if (std::exchange(lookup_failed_, false)) spdlog::info("peers found again name={} count={}", host, found->addresses.size());
  std::vector<config::Peer> peers;
  for (const auto& address : found->addresses) peers.push_back({join_address(address, port), ""});
  set_members(std::move(peers));
  return std::clamp(found->ttl, kShortestTtl, kLongestTtl);
}

}  // namespace cistern::peers
