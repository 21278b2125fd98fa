#include "cache-agent/upstream/network_upstream.hpp"

#include <boost/asio/steady_timer.hpp>
#include <random>

#include "cache-agent/upstream/chain.hpp"
#include "cache-agent/upstream/retry.hpp"

namespace cistern::upstream {
namespace {

// A Retry-After longer than this is the caller's to know, not ours to sit out.
constexpr std::chrono::seconds kLongestWait{2};

// How long bodies up to this take is measured: larger ones tell their own size.
constexpr std::uint64_t kSmall = 64 << 10;

double random_unit() {
  thread_local std::minstd_rand generator{std::random_device{}()};
  return std::uniform_real_distribution<double>(0, 1)(generator);
}

// Tells the breaker how the body went: a transfer that fails in the middle is a failure of the upstream, one given up is not.
class NetworkTransfer final : public Transfer {
 public:
  // What becomes of a probe's body tells nothing.
  NetworkTransfer(Hop hop, std::shared_ptr<State> state, config::Breaker breaker, bool probe)
      : hop_(std::move(hop)), state_(std::move(state)), breaker_(breaker), judged_(probe || hop_->head().status >= 500) {}
  ~NetworkTransfer() override {
    if (!judged_) state_->breaker.success();
  }

  const Head& head() const override { return hop_->head(); }

  Awaitable<Result<std::string>> read() override {
    auto block = co_await hop_->read();
    if (!judged_ && !block) {
      judged_ = true;
      state_->breaker.failure(breaker_, block.error().message);
      if (block.error().code != ErrorCode::kCancelled) state_->speed.failed();
    } else if (!judged_ && block->empty()) {
      judged_ = true;
      state_->breaker.success();
      if (received_ > 0 && received_ <= kSmall && hop_->head().status == 200) state_->speed.whole(hop_->total());
    }
    if (block) received_ += block->size();
    co_return block;
  }

 private:
  Hop hop_;
  std::shared_ptr<State> state_;
  config::Breaker breaker_;
  bool judged_;
  std::uint64_t received_ = 0;
};

class NetworkUpstream final : public Upstream, public std::enable_shared_from_this<NetworkUpstream> {
 public:
  NetworkUpstream(Network network, std::shared_ptr<State> state, Settings settings, Kind kind)
      : network_(std::move(network)),
        state_(std::move(state)),
        settings_(std::move(settings)),
        kind_(kind),
        chain_(network_, state_, settings_, kind) {
    if (kind == Kind::kPeer) settings_.breaker.failures = 0;  // never opens: who has peers has other peers
  }

  const std::string& name() const override { return state_->configuration.name; }
  Health health() const override {
    auto health = state_->breaker.health();
    health.measures = state_->speed.measures();
    if (state_->canary) health.canary = state_->canary->health();
    return health;
  }
  Canary* canary() override { return state_->canary ? &*state_->canary : nullptr; }
  void blame(std::string_view reason) override { state_->breaker.failure(settings_.breaker, std::string(reason)); }
  Awaitable<Result<std::unique_ptr<Transfer>>> open(Ask ask) override;

 private:
  // What one attempt came to, and how long to wait before the next; none: there is none.
  struct Verdict {
    std::optional<std::chrono::milliseconds> again_after;
  };

  Verdict judge(const tl::expected<Answer, Refusal>& outcome, unsigned attempt, bool may_retry);
  void judge_answer(const Head& head);
  void measure(const tl::expected<Answer, Refusal>& outcome, bool probe);
  std::optional<std::chrono::seconds> retry_after(const Head& head) const {
    return parse_retry_after(head.headers.get("Retry-After"), network_.clock->wall());
  }

  Network network_;
  std::shared_ptr<State> state_;
  Settings settings_;
  Kind kind_;
  Chain chain_;
};

Awaitable<Result<std::unique_ptr<Transfer>>> NetworkUpstream::open(Ask ask) {
  const auto self = shared_from_this();  // a reload may drop the upstream meanwhile
  auto permit = state_->breaker.enter(settings_.breaker);
  if (!permit) co_return fail(permit.error().in(name()));
  const bool may_retry = ask.retry && !ask.probe && kind_ == Kind::kUpstream && !permit->probe();
  const auto deadline = network_.clock->steady() + 2 * ask.first_byte.value_or(settings_.timeouts.first_byte);
  bool free_retry = true;        // for a connection that had died in the pool
  bool fresh_start = ask.retry;  // for a signed URL that has expired
  for (unsigned attempt = 0;;) {
    auto outcome = co_await chain_.follow(ask);
    if (!outcome && outcome.error().stale_connection && std::exchange(free_retry, false)) continue;
    if (outcome && outcome->away && outcome->hop->head().status == 403 && std::exchange(fresh_start, false)) continue;
    measure(outcome, ask.probe);
    if (outcome) judge_answer(outcome->hop->head());
    const auto verdict = judge(outcome, attempt, may_retry);
    const bool in_time = verdict.again_after && network_.clock->steady() + *verdict.again_after < deadline;
    if (!in_time && !outcome) co_return fail(outcome.error().error);
    if (!in_time) co_return std::make_unique<NetworkTransfer>(std::move(outcome->hop), state_, settings_.breaker, ask.probe);
    outcome = tl::unexpected(Refusal{});  // lets the connection go before waiting
    ++attempt;
    asio::steady_timer timer(co_await asio::this_coro::executor, *verdict.again_after);
    boost::system::error_code ignored;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

// A refusal may be quick, and tells nothing of how long an object takes; but it is an answer.
void NetworkUpstream::measure(const tl::expected<Answer, Refusal>& outcome, bool probe) {
  if (outcome && outcome->hop->head().status < 500) {
    state_->speed.answered(outcome->timing, probe ? Speed::Of::kProbe : Speed::Of::kRequest);
  } else if (outcome || outcome.error().error.code == ErrorCode::kUpstream || outcome.error().error.code == ErrorCode::kTimeout) {
    state_->speed.failed();
  }
}

void NetworkUpstream::judge_answer(const Head& head) {
  if (head.status == 429 && kind_ == Kind::kUpstream) {
    if (const auto wait = retry_after(head)) state_->breaker.hold(*wait);
  }
}

NetworkUpstream::Verdict NetworkUpstream::judge(const tl::expected<Answer, Refusal>& outcome, unsigned attempt, bool may_retry) {
  const bool served = outcome && outcome->hop->head().status < 500;
  if (served) {
    // A half-open breaker closes by the head; failures in a row are forgotten by a whole body only (NetworkTransfer).
    state_->breaker.answered();
    return {};
  }
  const auto code = outcome ? ErrorCode::kUpstream : outcome.error().error.code;
  if (code == ErrorCode::kUpstream || code == ErrorCode::kTimeout) {
    state_->breaker.failure(settings_.breaker,
                            outcome ? fmt::format("{}: {}", name(), outcome->hop->head().status) : outcome.error().error.message);
  }
  const bool transient = outcome ? is_transient_status(outcome->hop->head().status) : outcome.error().transient;
  if (!may_retry || !transient || attempt >= settings_.retries || !state_->breaker.closed()) return {};
  if (outcome) {
    if (const auto told = retry_after(outcome->hop->head())) {
      if (*told > kLongestWait) return {};
      return {*told};
    }
  }
  return {backoff(attempt, network_.options->backoff, random_unit())};
}

}  // namespace

std::shared_ptr<Upstream> make_network_upstream(Network network, std::shared_ptr<State> state, const Settings& settings, Kind kind) {
  return std::make_shared<NetworkUpstream>(std::move(network), std::move(state), settings, kind);
}

}  // namespace cistern::upstream
