#include "operator/kube/reflector.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "operator/kube/pause.hpp"

namespace cistern::kube {
namespace {

// A watch that lived this long was a good one: the next failure is a first one.
constexpr std::chrono::seconds kLived{10};
// One that ended sooner than this, and told nothing, was none.
constexpr std::chrono::seconds kNone{1};
// After that many failures in a row the version itself may be to blame: it is from the future when etcd was restored from a backup.
constexpr int kTriesOfOneVersion = 5;
// Watches of one client do not all end in the same moment.
constexpr long kSpread = 60;
constexpr std::chrono::seconds kSilenceBeyondTimeout{30};

void name_kind(Json& object, const Resource& resource) {
  object["apiVersion"] = resource.api_version();
  object["kind"] = resource.kind;
}

// What is no object of Kubernetes (a broken proxy's answer) may have anything in any field.
template <class Call>
auto understood(const Resource& resource, const Call& call) -> decltype(call()) {
  try {
    return call();
  } catch (const Json::exception& exception) {
    return fail(ErrorCode::kUpstream, "{}: what the API server sends is not understood: {}", resource.plural, exception.what());
  }
}

}  // namespace

Reflector::Reflector(Client& client, const Resource& resource, ReflectorOptions options, Sink& sink, const Clock& clock)
    : client_(client), resource_(resource), options_(std::move(options)), sink_(sink), clock_(clock) {}

void Reflector::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    auto version = understood(resource_, [&] { return list(); });
    if (stop.stop_requested()) return;
    if (version) {
      follow(std::move(*version), stop);
    } else {
      tell(&version.error());
      pause(&version.error(), stop);
    }
  }
}

Result<std::string> Reflector::list() {
  auto list = client_.list(resource_, options_.selection);
  if (!list) return fail(list.error());
  std::vector<Json> objects;
  for (auto& item : (*list)["items"]) {
    name_kind(item, resource_);
    objects.push_back(std::move(item));
  }
  auto version = metadata(*list, "resourceVersion");
  if (version.empty()) return fail(ErrorCode::kUpstream, "list {}: the answer has no resourceVersion", resource_.plural);
  sink_.replace(std::move(objects));
  tell(nullptr);
  return version;
}

void Reflector::follow(std::string resource_version, const std::stop_token& stop) {
  int failed = 0;
  for (bool first = true; !stop.stop_requested(); first = false) {
    const auto begin = clock_.steady();
    const auto before = resource_version;
    const auto ended = understood(resource_, [&] { return watch(resource_version, stop); });
    if (stop.stop_requested()) return;
    const auto lived = clock_.steady() - begin;
    const bool told = resource_version != before;
    if (told || lived >= kLived) failures_ = 0;
    if (told || ended) failed = 0;
    if (ended) {
      // It goes on at once, unless the server ends each of them at once.
      if (!told && lived < kNone && ++failures_ > 1) pause(nullptr, stop);
      continue;
    }
    if (ended.error().code == ErrorCode::kGone) {
      spdlog::info("a watch's version is gone, listing again resource={} version={}", resource_.plural, resource_version);
      // Nothing is wrong with that, unless it is said of a list that is a moment old.
      if (first && !told && lived < kNone) pause(nullptr, stop);
      return;
    }
    tell(&ended.error());
    pause(&ended.error(), stop);
    if (++failed == kTriesOfOneVersion) return;
  }
}

Result<void> Reflector::watch(std::string& resource_version, const std::stop_token& stop) {
  WatchOptions options;
  options.selection = options_.selection;
  options.resource_version = resource_version;
  options.timeout -= std::chrono::seconds(std::uniform_int_distribution<long>(0, kSpread)(random_));
  options.silence = options.timeout + kSilenceBeyondTimeout;
  options.on_open = [this] { tell(nullptr); };
  const auto on_event = [&](WatchEvent event) {
    if (auto version = metadata(event.object, "resourceVersion"); !version.empty()) resource_version = std::move(version);
    if (event.type == WatchEvent::Type::kBookmark) return;
    name_kind(event.object, resource_);
    if (event.type == WatchEvent::Type::kDeleted) {
      sink_.removed(std::move(event.object));
    } else {
      sink_.changed(std::move(event.object));
    }
  };
  return client_.watch(resource_, options, on_event, stop);
}

std::chrono::milliseconds Reflector::next_pause() {
  auto pause = options_.first_pause;
  for (unsigned i = 0; i < failures_ && pause < options_.longest_pause; ++i) pause *= 2;
  ++failures_;
  pause = std::min(pause, options_.longest_pause);
  return pause + std::chrono::milliseconds(std::uniform_int_distribution<long>(0, pause.count() / 2)(random_));
}

void Reflector::pause(const Error* error, const std::stop_token& stop) {
  auto pause = next_pause();
  if (error != nullptr && error->retry_after) pause = std::max<std::chrono::milliseconds>(pause, *error->retry_after);
  pause_until(clock_, clock_.steady() + pause, stop);
}

void Reflector::tell(const Error* error) {
  const bool connected = error == nullptr;
  if (connected_ == connected) return;
  if (error != nullptr) spdlog::warn("not up to date resource={} reason=\"{}\"", resource_.plural, error->message);
  if (connected && connected_) spdlog::info("up to date again resource={}", resource_.plural);
  connected_ = connected;
  sink_.connected(error);
}

}  // namespace cistern::kube
