// Where a view's checksum database is read from, and where its verified answers are kept.
//
// mirrorpolicy.md, sumDB.url: empty means "through the first upstream that serves /sumdb/<name>/, else the database itself". Which
// one that is, is found out by asking /sumdb/<name>/supported, and asked again after five minutes or a failure.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>

#include "base/clock.hpp"
#include "cache-agent/store/store.hpp"
#include "cache-agent/upstream/upstream.hpp"
#include "cache-agent/verify/sumdb.hpp"

namespace cistern::route {

// Thread-safe. Lives as long as any check that uses it.
class SumDbUpstreams final : public verify::SumDbSource {
 public:
  struct Place {
    std::shared_ptr<upstream::Upstream> upstream;
    std::string prefix;  // before the database's own paths: "/sumdb/sum.golang.org", or nothing
    bool probe = false;  // serves it only if .../supported says so
  };
  // `key`: what answers are kept under, of the database's verifier key and the view.
  SumDbUpstreams(std::vector<Place> places, std::string key, store::Store& store, const Clock& clock, asio::thread_pool& disk);

  Awaitable<Result<std::string>> fetch(std::string path) override;
  Awaitable<std::optional<std::string>> kept(std::string path) override;
  void keep(std::string path, std::string body) override;
  void keep_head(std::string note) override;

  // Where the database is to be asked now.
  Awaitable<Result<Place>> place();

  // What keep_head() was last given, from the store; empty if there is none.
  std::string kept_head();

 private:
  Awaitable<Result<std::size_t>> choose();
  void forget_choice(std::size_t place);
  std::optional<std::string> read(const std::string& key);
  void put(std::string key, std::string body);

  const std::vector<Place> places_;
  const std::string key_;
  store::Store& store_;
  const Clock& clock_;
  asio::strand<asio::thread_pool::executor_type> disk_;  // keeps heads in their order
  std::mutex mutex_;
  std::optional<std::size_t> chosen_;
  SteadyTime chosen_until_{};
};

}  // namespace cistern::route
