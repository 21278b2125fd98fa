// What tests ask and tell the fake: the record of requests, faults, and orders to watches.
#include <algorithm>

#include "tests/fakes/api_server/api_server.hpp"
#include "tests/fakes/api_server/connection.hpp"

namespace cistern::fakes {
namespace {

std::string_view verb_of(const ApiRequest& request) {
  if (request.method != "GET") return request.method;
  if (request.is_watch()) return "WATCH";
  const auto place = parse_place(request.path);
  return !place.collection.empty() && place.key.name.empty() ? "LIST" : "GET";
}

bool is_about(const ApiRequest& request, std::string_view method, std::string_view path) {
  return request.path.find(path) != std::string::npos && (method.empty() || method == verb_of(request));
}

}  // namespace

std::vector<ApiRequest> ApiServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

std::vector<ApiRequest> ApiServer::mutating_requests() const {
  auto all = requests();
  std::erase_if(all, [](const ApiRequest& request) { return !request.is_mutating(); });
  return all;
}

void ApiServer::forget_requests() {
  const std::lock_guard lock(mutex_);
  requests_.clear();
}

std::size_t ApiServer::count(std::string_view method, std::string_view path) const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(
      std::count_if(requests_.begin(), requests_.end(), [&](const ApiRequest& request) { return is_about(request, method, path); }));
}

bool ApiServer::wait_for(std::string_view method, std::string_view path, std::size_t times, std::chrono::milliseconds limit) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, limit, [&] {
    const auto seen =
        std::count_if(requests_.begin(), requests_.end(), [&](const ApiRequest& request) { return is_about(request, method, path); });
    return static_cast<std::size_t>(seen) >= times;
  });
}

bool ApiServer::wait_for_watches(std::size_t count, std::chrono::milliseconds limit) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, limit, [&] { return watches_ == count; });
}

void ApiServer::add_fault(Fault fault) {
  const std::lock_guard lock(mutex_);
  faults_.push_back(std::move(fault));
}

void ApiServer::clear_faults() {
  const std::lock_guard lock(mutex_);
  faults_.clear();
}

// With mutex_ held.
std::optional<Fault> ApiServer::fault_for(const ApiRequest& request) {
  for (auto fault = faults_.begin(); fault != faults_.end(); ++fault) {
    if (!is_about(request, fault->method, fault->path)) continue;
    if (fault->skip > 0) {
      --fault->skip;
      continue;
    }
    auto taken = *fault;
    if (fault->times > 0 && --fault->times == 0) faults_.erase(fault);
    return taken;
  }
  return std::nullopt;
}

void ApiServer::give_order(Order order) {
  const std::lock_guard lock(mutex_);
  orders_.push_back(std::move(order));
  changed_.notify_all();
}

void ApiServer::end_watches() { give_order({Order::Kind::kEnd, {}, {}}); }
void ApiServer::reset_watches() { give_order({Order::Kind::kReset, {}, {}}); }
void ApiServer::send_bookmarks() { give_order({Order::Kind::kBookmark, {}, {}}); }
void ApiServer::send_on_watches(const kube::Resource& resource, const std::string& bytes) {
  give_order({Order::Kind::kBytes, collection_of(resource), bytes});
}

void ApiServer::stall_watches(bool stalled) {
  const std::lock_guard lock(mutex_);
  stalled_ = stalled;
  changed_.notify_all();
}

}  // namespace cistern::fakes
