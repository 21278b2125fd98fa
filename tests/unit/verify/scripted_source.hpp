// What the tests of SumDb share: a source over the checksum database in memory that misbehaves on demand.
#pragma once

#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include "base/async.hpp"
#include "cache-agent/verify/sumdb.hpp"
#include "tests/fakes/manual_clock.hpp"
#include "tests/fakes/sumdb/sumdb.hpp"

namespace cistern::verify {

// Runs a coroutine to its end.
template <class T>
T run(Awaitable<T> work) {
  asio::io_context context;
  auto result = asio::co_spawn(context, std::move(work), asio::use_future);
  context.run();
  return result.get();
}

// Thread-safe.
class ScriptedSource final : public SumDbSource {
 public:
  explicit ScriptedSource(const fakes::SumDb* database) : database_(database) {}

  Awaitable<Result<std::string>> fetch(std::string path) override;
  Awaitable<std::optional<std::string>> kept(std::string path) override;
  void keep(std::string path, std::string body) override;
  void keep_head(std::string note) override;

  // From now on answers come from there.
  void serve_from(const fakes::SumDb* database) { database_ = database; }
  // Answers one path with this instead; the function sees what the database says.
  using Change = std::function<Result<std::string>(Result<std::string>)>;
  void change(const std::string& path, Change change) { changes_[path] = std::move(change); }
  void replace(const std::string& path, const std::string& body);
  void go_down() { down_ = true; }
  void come_up() { down_ = false; }

  int fetches(const std::string& path);
  int fetches();
  std::map<std::string, std::string>& kept_answers() { return kept_; }
  const std::vector<std::string>& heads() const { return heads_; }

 private:
  Result<std::string> answer(const std::string& path);

  std::mutex mutex_;
  const fakes::SumDb* database_;
  bool down_ = false;
  std::map<std::string, Change> changes_;
  std::map<std::string, int> fetches_;
  std::map<std::string, std::string> kept_;
  std::vector<std::string> heads_;
};

// A database, a source and a client of them.
struct World {
  fakes::SumDb database;
  fakes::ManualClock clock;
  ScriptedSource source{&database};
  std::unique_ptr<SumDb> client;

  explicit World(std::uint64_t fillers = 0);
  // A client as after a restart: the head is what was kept.
  void restart();
  std::uint64_t add(const std::string& module, const std::string& version = "v1.0.0");

  Result<std::string> hash(const std::string& module, const std::string& version = "v1.0.0", bool go_mod = false);
  Result<std::string> lookup(const std::string& module, const std::string& version = "v1.0.0");
  Result<std::string> tile(const std::string& path);
  Result<std::string> latest();
};

// A client that asks another client, as `go` does through a proxy, and believes nothing.
class ProxiedSource final : public SumDbSource {
 public:
  explicit ProxiedSource(SumDb& proxy) : proxy_(proxy) {}
  Awaitable<Result<std::string>> fetch(std::string path) override;
  Awaitable<std::optional<std::string>> kept(std::string path) override;
  void keep(std::string, std::string) override {}
  void keep_head(std::string note) override { head = std::move(note); }
  std::string head;

 private:
  SumDb& proxy_;
};

}  // namespace cistern::verify
