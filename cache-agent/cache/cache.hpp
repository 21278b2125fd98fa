// Hit, miss, stale, fill.
//
//            lookup(): fresh in the store? ── yes ──► Answer (hit)
//                 │ no
//            fetch(): the fill of this object, joined if one is under way, else started
//                 │                                       │ fails
//            Answer that follows the fill            stale copy within its bound? ── yes ──► Answer (stale)
//                                                         │ no
//                                                       Error
//
// A fill belongs to no client (see fill.hpp). Hits never wait behind misses: lookup() takes the index's short lock and opens a file.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include <boost/asio/thread_pool.hpp>

#include "base/clock.hpp"
#include "cache-agent/cache/negative.hpp"
#include "cache-agent/cache/plan.hpp"
#include "http/message.hpp"

namespace cistern::cache {

class Fill;
class SpoolReader;

enum class Outcome { kHit, kMiss, kStale, kRevalidated };
const char* to_string(Outcome outcome);

struct Answer {
  Outcome outcome = Outcome::kHit;
  std::shared_ptr<const store::Meta> meta;
  std::optional<Digest> digest;          // known for what is in the store
  std::optional<std::uint64_t> size;     // of the whole object; absent while it is arriving without a Content-Length
  std::optional<http::ByteRange> range;  // the body is this part of it
  std::chrono::seconds age{0};
  std::variant<Slice, std::unique_ptr<BodySource>> body;
};

struct ReadOptions {
  std::optional<http::RangeRequest> range;
  bool whole = false;  // wait until the object is complete if its length is not known (HTTP/1.0: the client could not see a body cut short)
};

struct Observer {
  virtual ~Observer() = default;
  virtual void verification_failed(std::string_view kind) = 0;  // digest, checksum, length
};

struct FillProgress {
  std::string key;
  std::string upstream;
  std::uint64_t received = 0;
  std::optional<std::uint64_t> total;
};

struct Limits {
  milliseconds idle = std::chrono::seconds(30);  // for the slowest reader of a fill that can not be stored
  unsigned resumes = 3;                          // of a transfer that was cut, without progress in between
};

class Cache {
 public:
  struct Parts {
    store::Store& store;
    const Clock& clock;
    Observer& observer;
    asio::thread_pool& fills;         // hashes and writes what arrives
    asio::thread_pool& verification;  // unpacks archives
  };
  explicit Cache(Parts parts);
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;
  ~Cache();

  // In the store and fresh, or known to be absent (an error) for a while yet: asks nobody and never waits. Empty: fetch() is the way.
  // `fill_key` as in Plan.
  std::optional<Result<Answer>> lookup(std::string_view key, std::string_view fill_key, const Freshness& freshness,
                                       const ReadOptions& options);
  // In the store, however old.
  std::optional<Result<Answer>> stored(std::string_view key, const ReadOptions& options);
  // By a fill, joined or started; a stale copy where that fails. Any executor that runs one handler at a time.
  Awaitable<Result<Answer>> fetch(Plan plan, ReadOptions options);
  // The answer's head alone, from the first source that has one, for objects that a HEAD must not cause to be fetched. kInvalid: HEAD is
  // refused; then fetch() is the way.
  Awaitable<Result<upstream::Head>> ask_head(Plan plan);

  std::vector<FillProgress> fills() const;
  std::size_t fills_in_flight() const;
  void set_limits(Limits limits);
  // After a purge or a new configuration.
  void forget_negative();

 private:
  friend class Fill;
  static constexpr std::size_t kMostSuspects = 1024;

  std::optional<Result<Answer>> open_entry(const store::Entry& entry, Outcome outcome, const ReadOptions& options);
  std::unique_ptr<SpoolReader> join_or_start(Plan plan, const asio::any_io_executor& executor);
  void finished(const std::shared_ptr<Fill>& fill);
  void suspect(const std::string& fill_key, const std::string& upstream);
  std::vector<Source> in_order(const Plan& plan);

  Parts parts_;
  NegativeAnswers negative_;
  mutable std::mutex mutex_;  // of what follows; never held across I/O
  Limits limits_;
  std::unordered_map<std::string, std::shared_ptr<Fill>> fills_;
  std::unordered_map<std::string, std::set<std::string>> suspects_;  // fill key → upstreams that sent it wrong
};

// The error of a range outside the object; its message is the value of Content-Range.
Error range_not_satisfiable(std::uint64_t size);

}  // namespace cistern::cache
