// Bearer tokens that are still good, by what they are good for; and one request to the token service however many need its token.
// Thread-safe; coroutines on any executor.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/async.hpp"
#include "base/clock.hpp"
#include "cache-agent/upstream/auth.hpp"
#include "cache-agent/upstream/event.hpp"

namespace cistern::upstream {

class Tokens {
 public:
  using Fetch = std::function<Awaitable<Result<Token>>()>;

  explicit Tokens(const Clock& clock) : clock_(clock) {}

  std::optional<std::string> cached(const std::string& key);
  // It was refused: forgets this one, not a newer one that somebody else has put in its place.
  void refused(const std::string& key, const std::string& value);
  // The cached token, or what `fetch` gets; if it is being fetched, waits for that. A failure is everybody's who waited. Where the one
  // who fetches goes away, one of those who wait goes on in its place.
  Awaitable<Result<std::string>> get(std::string key, Fetch fetch);

 private:
  struct Flight {
    std::vector<Event*> waiting;  // under the mutex
    bool over = false;
    std::optional<Result<std::string>> result;  // none: whoever fetched has gone away
  };
  class Lead;
  class Place;

  std::optional<std::string> find(const std::string& key);
  void land(const std::string& key, Flight& flight, std::optional<Result<std::string>> result);

  const Clock& clock_;
  std::mutex mutex_;
  std::map<std::string, Token> tokens_;
  std::map<std::string, std::shared_ptr<Flight>> flights_;
};

}  // namespace cistern::upstream
