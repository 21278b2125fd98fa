#include "cache-agent/upstream/tokens.hpp"

#include <algorithm>

namespace cistern::upstream {
namespace {

// Beyond this many the expired ones are dropped, and if that does not help, all: a token is cheap to get again.
constexpr std::size_t kMostTokens = 4096;

}  // namespace

// Whoever fetches. Ends the flight also when its coroutine is destroyed in the middle.
class Tokens::Lead {
 public:
  Lead(Tokens& tokens, const std::string& key, Flight& flight) : tokens_(tokens), key_(key), flight_(flight) {}
  Lead(const Lead&) = delete;
  Lead& operator=(const Lead&) = delete;
  ~Lead() { tokens_.land(key_, flight_, std::move(result)); }

  std::optional<Result<std::string>> result;

 private:
  Tokens& tokens_;
  const std::string& key_;
  Flight& flight_;
};

// One of those who wait.
class Tokens::Place {
 public:
  Place(Tokens& tokens, Flight& flight, Event& event) : tokens_(tokens), flight_(flight), event_(event) {}
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place() {
    const std::lock_guard lock(tokens_.mutex_);
    std::erase(flight_.waiting, &event_);
  }

 private:
  Tokens& tokens_;
  Flight& flight_;
  Event& event_;
};

std::optional<std::string> Tokens::find(const std::string& key) {
  const auto found = tokens_.find(key);
  if (found == tokens_.end() || clock_.steady() >= found->second.until) return {};
  return found->second.value;
}

std::optional<std::string> Tokens::cached(const std::string& key) {
  const std::lock_guard lock(mutex_);
  return find(key);
}

void Tokens::refused(const std::string& key, const std::string& value) {
  const std::lock_guard lock(mutex_);
  const auto found = tokens_.find(key);
  if (found != tokens_.end() && found->second.value == value) tokens_.erase(found);
}

void Tokens::land(const std::string& key, Flight& flight, std::optional<Result<std::string>> result) {
  const std::lock_guard lock(mutex_);
  flight.over = true;
  flight.result = std::move(result);
  flights_.erase(key);
  for (auto* event : flight.waiting) event->notify();
}

Awaitable<Result<std::string>> Tokens::get(std::string key, Fetch fetch) {
  for (;;) {
    Event event;
    std::shared_ptr<Flight> flight;
    bool leads = false;
    {
      const std::lock_guard lock(mutex_);
      if (auto token = find(key)) co_return *token;
      auto& slot = flights_[key];
      leads = slot == nullptr;
      if (leads) slot = std::make_shared<Flight>();
      flight = slot;
      if (!leads) flight->waiting.push_back(&event);
    }
    if (leads) {
      Lead lead(*this, key, *flight);
      auto token = co_await fetch();
      if (!token) {
        lead.result = fail(token.error());
        co_return fail(token.error());
      }
      {
        const std::lock_guard lock(mutex_);
        if (tokens_.size() >= kMostTokens) std::erase_if(tokens_, [&](const auto& entry) { return clock_.steady() >= entry.second.until; });
        if (tokens_.size() >= kMostTokens) tokens_.clear();
        tokens_[key] = *token;
      }
      lead.result = token->value;
      co_return token->value;
    }
    const Place place(*this, *flight, event);
    for (;;) {
      {
        const std::lock_guard lock(mutex_);
        if (flight->over && flight->result) co_return *flight->result;
        if (flight->over) break;
      }
      co_await event.wait();
    }
  }
}

}  // namespace cistern::upstream
