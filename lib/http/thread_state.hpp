// What the connections of one thread share. Nothing here is used by another thread, but for the counter.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "http/head.hpp"
#include "http/server.hpp"
#include "http/stream.hpp"

namespace cistern::http {

class Session;

struct ThreadState {
  ThreadState(const ServerOptions& server_options, std::atomic<std::size_t>& connection_count)
      : options(server_options), connections(connection_count), scratch_(std::make_unique<char[]>(Stream::kScratch)) {}

  void add(Session& session);
  void remove(Session& session);
  std::span<char> scratch() { return {scratch_.get(), Stream::kScratch}; }

  const ServerOptions& options;
  std::atomic<std::size_t>& connections;  // of the whole server
  DateLine date;
  bool draining = false;
  std::vector<Session*> sessions;

 private:
  std::unique_ptr<char[]> scratch_;

 public:
  // Last, hence destroyed first: it destroys the sessions whose coroutines wait in it.
  asio::io_context context{1};
};

}  // namespace cistern::http
