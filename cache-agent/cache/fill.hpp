// One object on its way in, however many ask for it.
//
//   kAsking ──► kReceiving ──► kJudging ──► kStoring ──► over
//      ▲  │         │  │           │            (readers have all of it already; the last block does not wait for fsync)
//      │  └─► next source          └─► wrong: nothing is stored; the source is blamed
//      └────────────┘ cut off: goes on at the offset, or again from 0 with the prefix compared
//
// Of a canary's failure a client is to see nothing: the next source is asked, whatever the policy's fallback, and what that says is the
// answer. So an object without a digest is shown to nobody before it is whole, or 4 MiB of it have come; if it breaks off behind that, the
// next source's bytes go on where it ended, if they are the same up to there. One with a digest goes on at the next source in any case.
//
// A fill belongs to no client: the first to ask may leave, the rest are served, and it ends in the store even when all have left. It runs
// as one coroutine on a strand of the fill pool; hashing and writing happen there.
#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "base/wake.hpp"
#include "cache-agent/cache/cache.hpp"
#include "cache-agent/cache/plan.hpp"
#include "cache-agent/cache/spool.hpp"

namespace cistern::cache {

class Fill : public std::enable_shared_from_this<Fill> {
 public:
  Fill(Cache& cache, Plan plan, Limits limits);

  // The whole life of it; ends by itself. Spawned on a strand.
  static Awaitable<void> run(std::shared_ptr<Fill> self);

  const std::string& name() const { return plan_.fill_key; }
  bool joinable() const { return spool_->joinable(); }
  std::unique_ptr<SpoolReader> reader(const asio::any_io_executor& executor) { return Spool::reader(spool_, executor); }
  FillProgress progress() const;

 private:
  // Why an attempt ended, and whether going on at the same source makes sense.
  struct Ended {
    Error error;
    bool cut = false;
  };
  using Attempt = tl::expected<void, Ended>;

  Awaitable<Result<void>> from_sources();
  Awaitable<Result<void>> from_source(Source source);
  Awaitable<Attempt> attempt(Source source);
  Awaitable<Attempt> receive(std::unique_ptr<upstream::Transfer> transfer, std::uint64_t skip);
  Awaitable<Attempt> made_from_answer(Source source);
  // The answer's head: begins the spool, or checks that the answer goes on where the spool ends. Gives how many bytes are to be skipped.
  Result<std::uint64_t> accept(const Source& source, const upstream::Head& head, std::uint64_t have);
  Awaitable<Result<void>> judge(Source source);
  static Awaitable<void> prepare(std::shared_ptr<Fill> self);
  Awaitable<Result<void>> preparation();
  std::optional<Error> preparation_failed() const;
  void show_if_ready();
  void hold(bool held);
  Awaitable<Result<std::unique_ptr<upstream::Transfer>>> open(Source source, upstream::Ask ask);
  void store();
  void remember(const Error& error);

  Cache& cache_;
  Plan plan_;
  const Limits limits_;
  const std::shared_ptr<Spool> spool_;
  std::shared_ptr<const store::Meta> meta_ = std::make_shared<store::Meta>();
  std::chrono::seconds age_{0};  // as the owner among the peers said
  WallTime fetched_{};
  std::string etag_;                                     // a strong one, of the answer that the landed bytes are of
  bool unjudgeable_ = false;                             // there is no room to check what comes, from whatever source
  std::optional<std::chrono::microseconds> first_byte_;  // of the last answer

  std::optional<Wake> prepared_wake_;

  mutable std::mutex mutex_;  // of what follows
  std::string upstream_;
  std::optional<Result<void>> prepared_;  // how the check's preparation ended
  bool held_ = false;                     // a canary is being asked: nothing is shown yet
};

}  // namespace cistern::cache
