#include "tests/fakes/api_server/connection.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "tests/fakes/api_server/selectors.hpp"

namespace cistern::fakes {
namespace {

using Clock = std::chrono::steady_clock;

std::string event_line(std::string_view type, kube::Json object) {
  return kube::Json{{"type", type}, {"object", std::move(object)}}.dump() + "\n";
}

kube::Json gone_status() {
  return {{"kind", "Status"},    {"apiVersion", "v1"}, {"metadata", kube::Json::object()},     {"status", "Failure"},
          {"reason", "Expired"}, {"code", 410},        {"message", "too old resource version"}};
}

kube::Json bookmark(const kube::Json& like, std::uint64_t version) {
  kube::Json object{{"metadata", {{"resourceVersion", std::to_string(version)}, {"creationTimestamp", nullptr}}}};
  for (const char* name : {"kind", "apiVersion"}) {
    if (like.contains(name)) object[name] = like.at(name);
  }
  return object;
}

}  // namespace

bool selected(const ApiRequest& request, const Place& place, const kube::Json& object) {
  if (object.is_null()) return false;
  return (place.key.ns.empty() || kube::metadata(object, "namespace") == place.key.ns) &&
         matches_labels(object, request.parameter("labelSelector")) && matches_fields(object, request.parameter("fieldSelector"));
}

void ApiConnection::run() {
  ApiRequest request;
  while (wire_.ok() && read_request(request)) {
    if (!serve(request)) return;
  }
}

bool ApiConnection::read_request(ApiRequest& request) {
  Wire::Head head;
  if (!wire_.read_head(head)) return false;
  const auto question = head.target.find('?');
  const auto query = question == std::string::npos ? "" : head.target.substr(question + 1);
  request = {std::move(head.method), head.target.substr(0, question), query, std::move(head.headers), {}};
  return wire_.read_body(std::strtoull(field(request.headers, "Content-Length").c_str(), nullptr, 10), request.body);
}

bool ApiConnection::serve(const ApiRequest& request) {
  Fault fault;
  bool admitted = false;
  {
    const std::lock_guard lock(owner_.mutex_);
    owner_.requests_.push_back(request);
    owner_.changed_.notify_all();
    admitted = owner_.admitted(request);
    fault = owner_.fault_for(request).value_or(Fault{});
  }
  if (fault.delay.count() > 0 && !wire_.wait(fault.delay)) return false;
  if (fault.silent || fault.reset || fault.lose_answer || fault.status != 0 || !fault.raw.empty()) return misbehave(request, fault);
  if (!admitted) return misbehave(request, Fault{.status = 401, .reason = "Unauthorized", .message = "Unauthorized"});
  const auto place = parse_place(request.path);
  if (request.is_watch() && !place.collection.empty()) return watch(request, place, fault);
  return write(carry_out(request));
}

bool ApiConnection::misbehave(const ApiRequest& request, const Fault& fault) {
  if (fault.silent) {
    wire_.wait_until_gone();
    return false;
  }
  if (!fault.raw.empty()) {
    wire_.write(fault.raw);
    return false;
  }
  if (fault.status != 0) {
    const auto reason = fault.reason.empty() ? fmt::format("Reason{}", fault.status) : fault.reason;
    const auto message = fault.message.empty() ? fmt::format("the fake answers {}", fault.status) : fault.message;
    return write({fault.status,
                  {{"kind", "Status"},
                   {"apiVersion", "v1"},
                   {"status", "Failure"},
                   {"reason", reason},
                   {"message", message},
                   {"code", fault.status}},
                  fault.retry_after});
  }
  if (fault.lose_answer) carry_out(request);
  wire_.arm_reset();
  return false;
}

bool ApiConnection::write(const Answer& answer) {
  const auto body = answer.body.dump();
  std::string head =
      fmt::format("HTTP/1.1 {} Fake\r\nContent-Type: application/json\r\nContent-Length: {}\r\n", answer.status, body.size());
  if (answer.retry_after) head += fmt::format("Retry-After: {}\r\n", *answer.retry_after);
  return wire_.write(head + "\r\n" + body);
}

bool ApiConnection::write_stream(std::string_view bytes, const Fault& fault) {
  while (!bytes.empty()) {
    const auto piece = bytes.substr(0, fault.piece > 0 ? fault.piece : bytes.size());
    bytes.remove_prefix(piece.size());
    if (!wire_.write(fmt::format("{:x}\r\n{}\r\n", piece.size(), piece))) return false;
    if (fault.pause.count() > 0 && !wire_.wait(fault.pause)) return false;
  }
  return true;
}

bool ApiConnection::watch(const ApiRequest& request, const Place& place, const Fault& fault) {
  const auto asked = request.parameter("resourceVersion");
  std::uint64_t after = std::strtoull(asked.c_str(), nullptr, 10);
  std::string begin = fault.stream;
  bool gone = false;
  {
    const std::lock_guard lock(owner_.mutex_);
    gone = after != 0 && after < owner_.store_.floor();
    if (after == 0) {
      for (auto& object : owner_.store_.list(place.collection)) {
        if (selected(request, place, object)) begin += event_line("ADDED", std::move(object));
      }
      after = owner_.store_.version();
    }
  }
  if (gone && !owner_.gone_in_stream_) return write({410, gone_status()});
  if (!wire_.write("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")) return false;
  if (gone) return write_stream(event_line("ERROR", gone_status()), fault) && wire_.write("0\r\n\r\n");
  if (!write_stream(begin, fault)) return false;
  if (fault.then_reset) wire_.arm_reset();
  if (fault.then_reset) return false;
  if (fault.then_close) return wire_.write("0\r\n\r\n");
  return follow(request, place, fault, after);
}

// With the owner's mutex held. As events, what has happened since; `after` moves on.
std::string ApiConnection::events_after(const ApiRequest& request, const Place& place, std::uint64_t& after) const {
  std::string lines;
  const auto& history = owner_.store_.history();
  auto change = std::upper_bound(history.begin(), history.end(), after,
                                 [](std::uint64_t version, const ObjectStore::Change& one) { return version < one.version; });
  for (; change != history.end(); ++change) {
    after = change->version;
    if (change->collection != place.collection) continue;
    const bool is = change->type != "DELETED" && selected(request, place, change->object);
    const bool was = selected(request, place, change->previous);
    if (is || was) lines += event_line(is ? was ? "MODIFIED" : "ADDED" : "DELETED", change->object);
  }
  return lines;
}

bool ApiConnection::follow(const ApiRequest& request, const Place& place, const Fault& fault, std::uint64_t after) {
  const auto count = [this](std::size_t change) {
    const std::lock_guard lock(owner_.mutex_);
    owner_.watches_ += change;
    owner_.changed_.notify_all();
    return owner_.orders_.size();  // what was ordered before is not for this watch
  };
  const auto orders = count(1);
  const bool good = follow(request, place, fault, after, orders);
  count(static_cast<std::size_t>(-1));
  return good;
}

bool ApiConnection::follow(const ApiRequest& request, const Place& place, const Fault& fault, std::uint64_t after, std::size_t orders) {
  const auto timeout = std::strtoul(request.parameter("timeoutSeconds").c_str(), nullptr, 10);
  const auto until = timeout > 0 ? Clock::now() + std::chrono::seconds(timeout) : Clock::time_point::max();
  std::unique_lock lock(owner_.mutex_);
  for (;;) {
    std::string lines = owner_.stalled_ ? std::string() : events_after(request, place, after);
    bool end = Clock::now() >= until && !owner_.stalled_;
    bool reset = false;
    for (; orders < owner_.orders_.size(); ++orders) {
      const auto& order = owner_.orders_[orders];
      end = end || order.kind == ApiServer::Order::Kind::kEnd;
      reset = reset || order.kind == ApiServer::Order::Kind::kReset;
      if (order.kind == ApiServer::Order::Kind::kBytes && order.collection == place.collection) lines += order.bytes;
      if (order.kind != ApiServer::Order::Kind::kBookmark || request.parameter("allowWatchBookmarks") != "true") continue;
      const auto objects = owner_.store_.list(place.collection);
      lines += event_line("BOOKMARK", bookmark(objects.empty() ? kube::Json::object() : objects.front(), owner_.store_.version()));
    }
    lock.unlock();
    if (!write_stream(lines, fault)) return false;
    if (reset) wire_.arm_reset();
    if (reset) return false;
    if (end) return wire_.write("0\r\n\r\n");
    if (wire_.gone_within(0)) return false;
    lock.lock();
    if (orders == owner_.orders_.size()) owner_.changed_.wait_for(lock, std::chrono::milliseconds(20));
  }
}

}  // namespace cistern::fakes
