// What a request comes down to: which object, how fresh it must be, who may be asked for it, and how it is known to be right. Ecosystems
// and routes make plans; the cache carries them out and knows no protocol.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/async.hpp"
#include "base/content.hpp"
#include "base/digest.hpp"
#include "base/error.hpp"
#include "cache-agent/store/store.hpp"
#include "cache-agent/upstream/canary.hpp"
#include "cache-agent/upstream/upstream.hpp"
#include "config/model.hpp"

namespace cistern::cache {

using std::chrono::milliseconds;

struct Freshness {
  std::optional<milliseconds> ttl;  // absent: immutable
  milliseconds negative{0};         // how long a "not found" is believed
  milliseconds stale_if_error{0};   // after the ttl
};

// One place to ask. An owner among the peers is one more source.
struct Source {
  std::shared_ptr<upstream::Upstream> upstream;
  upstream::Ask ask;
  config::Fallback fallback = config::Fallback::kNotFound;  // what lets the next source be asked
  bool peer = false;  // only 200, 404, 410 and 429 are taken from it; anything else, or silence, and the next source is asked
  // A canary: on any failure the next source is asked, and what it says is the answer; as far as it can be helped a client sees nothing of
  // the failure (fill.hpp).
  bool canary = false;
  // Told how asking went; may be empty. For peers: an owner that fails is passed over for a while. For canaries and what they are compared
  // with.
  std::function<void(const upstream::Outcome&)> outcome;

  void tell(bool ok, std::optional<std::chrono::microseconds> first_byte = {}) const {
    if (outcome) outcome(upstream::Outcome{ok, first_byte});
  }
};

// A judgement beyond the digest; see verify/ for the Go checksum database. Used by one fill.
class Check {
 public:
  virtual ~Check() = default;
  // Runs while the bytes arrive, and must succeed before anything is sent to a client.
  virtual Awaitable<Result<void>> prepare() { co_return Result<void>{}; }
  // Judges the whole body. May take long; runs on the verification pool.
  virtual Result<void> check(const Slice& body) = 0;
};

struct Made {
  std::string body;
  std::string content_type;  // empty: the plan's or the upstream's
};

struct Plan {
  std::string key;
  std::string fill_key;  // fills are shared by plans with the same one; empty: the key. Views that may not share a fill differ here
  Freshness freshness;
  std::vector<Source> sources;

  std::optional<Digest> digest;  // known beforehand: must be equal, and a cut transfer may go on at another source
  std::shared_ptr<Check> check;
  std::uint64_t max_size = UINT64_MAX;
  bool ranges_while_filling = false;  // the client checks digests itself
  bool needs_disk = false;            // can not be judged without scratch space: kUnavailable rather than memory

  // For small objects that are made from an answer instead of being its body. Where `from_head` is set, the source is asked with HEAD
  // first, and an error of it means "not in the head": then with GET. `from_body` judges and may change the body of a GET; both run on the
  // fill pool.
  std::function<Result<Made>(const upstream::Head&)> from_head;
  std::function<Result<Made>(const upstream::Head&, std::string body)> from_body;

  std::string content_type;               // what to give back; empty: the upstream's
  std::vector<std::string> keep_headers;  // names of the answer's headers to keep and give back
  bool store = true;
};

}  // namespace cistern::cache
