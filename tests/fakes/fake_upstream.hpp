// An upstream that answers as a test has written down, one script for each request, in order. Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include "cache-agent/upstream/upstream.hpp"

namespace cistern::fakes {

struct Script {
  unsigned status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  // The body, piece by piece; an Error ends it.
  std::vector<std::variant<std::string, Error>> pieces;
  std::optional<std::uint64_t> length;  // what the head says; absent: unknown
  std::optional<Error> refused;         // open() fails
  // While set and false, read() waits after the first `free_pieces` pieces.
  std::shared_ptr<std::atomic<bool>> gate;
  std::size_t free_pieces = 0;

  static Script body(std::string text) {
    Script script;
    script.length = text.size();
    script.pieces.emplace_back(std::move(text));
    return script;
  }
  static Script code(unsigned status) {
    Script script;
    script.status = status;
    script.length = 0;
    return script;
  }
  static Script error(ErrorCode code) {
    Script script;
    script.refused = Error{code, "scripted", std::nullopt};
    return script;
  }
};

class FakeTransfer final : public upstream::Transfer {
 public:
  explicit FakeTransfer(Script script) : script_(std::move(script)) {
    head_.status = script_.status;
    for (const auto& [name, value] : script_.headers) head_.headers.add(name, value);
    head_.length = script_.length;
  }
  const upstream::Head& head() const override { return head_; }
  Awaitable<Result<std::string>> read() override {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    while (script_.gate && next_ >= script_.free_pieces && !*script_.gate) {
      timer.expires_after(std::chrono::milliseconds(1));
      co_await timer.async_wait(asio::use_awaitable);
    }
    if (next_ == script_.pieces.size()) co_return std::string();
    auto& piece = script_.pieces[next_++];
    if (auto* error = std::get_if<Error>(&piece)) co_return fail(*error);
    co_return std::get<std::string>(piece);
  }

 private:
  Script script_;
  upstream::Head head_;
  std::size_t next_ = 0;
};

class FakeUpstream final : public upstream::Upstream {
 public:
  explicit FakeUpstream(std::string name) : name_(std::move(name)) {}

  void answers(Script script) {
    const std::lock_guard lock(mutex_);
    scripts_.push_back(std::move(script));
  }
  std::vector<upstream::Ask> asked() const {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  unsigned blamed() const { return blamed_; }

  const std::string& name() const override { return name_; }
  Awaitable<Result<std::unique_ptr<upstream::Transfer>>> open(upstream::Ask ask) override {
    const std::lock_guard lock(mutex_);
    asked_.push_back(std::move(ask));
    if (scripts_.empty()) co_return fail(ErrorCode::kUpstream, "{} was asked more often than scripted", name_);
    auto script = std::move(scripts_.front());
    scripts_.pop_front();
    if (script.refused) co_return fail(*script.refused);
    co_return std::unique_ptr<upstream::Transfer>(std::make_unique<FakeTransfer>(std::move(script)));
  }
  upstream::Health health() const override { return {}; }
  void blame(std::string_view) override { ++blamed_; }

 private:
  const std::string name_;
  mutable std::mutex mutex_;
  std::deque<Script> scripts_;
  std::vector<upstream::Ask> asked_;
  std::atomic<unsigned> blamed_{0};
};

}  // namespace cistern::fakes
