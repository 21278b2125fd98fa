#include "operator/standalone/observer.hpp"

namespace cistern::standalone {
namespace {

std::optional<AgentStatus> ask_numbers(AgentHttp& http, const std::string& admin) {
  AgentStatus status;
  const auto metrics = http.get("http://" + admin + "/metrics");
  if (!metrics) return std::nullopt;
  read_metrics(*metrics, status);
  if (const auto json = http.get("http://" + admin + "/status"); !json || !read_status(*json, status)) return std::nullopt;
  return status;
}

}  // namespace

Observer::Observer(AgentAddress address, std::chrono::milliseconds numbers)
    : address_(std::move(address)), thread_([this, numbers] { run(numbers); }) {}

Observer::~Observer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

Observation Observer::latest() const {
  const std::lock_guard lock(mutex_);
  return latest_;
}

void Observer::run(std::chrono::milliseconds numbers) {
  AgentHttp http;
  auto numbers_at = std::chrono::steady_clock::now();
  for (;;) {
    auto health = http.get("http://" + address_.listener + "/healthz");
    const bool due = std::chrono::steady_clock::now() >= numbers_at;
    std::optional<AgentStatus> status;
    if (due) {
      status = health ? ask_numbers(http, address_.admin) : std::nullopt;
      numbers_at = std::chrono::steady_clock::now() + numbers;
    }
    std::unique_lock lock(mutex_);
    latest_.health = health ? std::move(*health) : "";
    if (due) latest_.status = std::move(status);
    if (wake_.wait_for(lock, std::chrono::milliseconds(100), [this] { return stopping_; })) return;
  }
}

}  // namespace cistern::standalone
