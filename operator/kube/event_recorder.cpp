#include "operator/kube/event_recorder.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

#include "operator/kube/microtime.hpp"

namespace cistern::kube {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::size_t kLongestQueue = 1000;
constexpr std::size_t kLongestNote = 1024;  // the API's limit
// A repetition within this time of the last one counts up, a later one is a new event.
constexpr minutes kSeries{10};
constexpr minutes kBetweenCounts{1};
// Events of one object: so many at once, then one each refill (as client-go's spam filter).
constexpr double kBurst = 25;
constexpr minutes kRefill{5};
constexpr std::chrono::milliseconds kTick{250};
constexpr seconds kFarewell{1};

struct Happened {
  Json regarding;
  std::string type, reason, action, note;
  WallTime at;
};

struct Series {
  ObjectKey event;       // as written
  unsigned count = 1;    // seen
  unsigned written = 1;  // told to the API server
  SteadyTime last;       // seen
  SteadyTime written_at;
  WallTime last_wall;
  bool over = false;  // the API server does not have it any more
};

struct Bucket {
  double tokens = kBurst;
  SteadyTime at;
};

// At most so many bytes, and no half character at the end.
std::string cut(std::string text, std::size_t limit) {
  if (text.size() <= limit) return text;
  static constexpr std::string_view kMore = "…";
  std::size_t end = limit - kMore.size();
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + std::string(kMore);
}

Json regarding(const Json& object) {
  Json reference;
  for (const char* field : {"kind", "apiVersion"}) {
    if (object.contains(field)) reference[field] = object.at(field);
  }
  for (const char* field : {"name", "namespace", "uid"}) {
    if (auto text = metadata(object, field); !text.empty()) reference[field] = std::move(text);
  }
  return reference;
}

class ApiEventRecorder final : public EventRecorder {
 public:
  ApiEventRecorder(Client& client, const Clock& clock, RecorderOptions options)
      : client_(client), clock_(clock), options_(std::move(options)), thread_([this](const std::stop_token& stop) { run(stop); }) {}
  ~ApiEventRecorder() override {
    thread_.request_stop();
    thread_.join();
  }
  ApiEventRecorder(const ApiEventRecorder&) = delete;
  ApiEventRecorder& operator=(const ApiEventRecorder&) = delete;

  void record(const Json& object, EventType type, std::string_view reason, std::string_view action, std::string note) override;

 private:
  void run(const std::stop_token& stop);
  void take(const Happened& happened);
  bool write(const Happened& happened, Series& series);
  void count_up(Series& series);
  // Writes the counts that are due, with `all` every one, and forgets what is long over.
  void sweep(bool all, std::chrono::steady_clock::time_point until);
  bool take_token(const std::string& object);

  Client& client_;
  const Clock& clock_;
  const RecorderOptions options_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::deque<Happened> queue_;
  std::size_t dropped_ = 0;

  // Of the thread:
  std::map<std::string, Series> series_;  // by object, type, reason and note
  std::map<std::string, Bucket> buckets_;
  std::minstd_rand random_{std::random_device{}()};
  std::jthread thread_;  // last: it uses all of the above
};

void ApiEventRecorder::record(const Json& object, EventType type, std::string_view reason, std::string_view action, std::string note) {
  Happened happened{regarding(object),
                    type == EventType::kWarning ? "Warning" : "Normal",
                    std::string(reason),
                    std::string(action),
                    cut(std::move(note), kLongestNote),
                    clock_.wall()};
  const std::lock_guard lock(mutex_);
  if (queue_.size() >= kLongestQueue) {
    ++dropped_;
    return;
  }
  queue_.push_back(std::move(happened));
  wake_.notify_all();
}

void ApiEventRecorder::run(const std::stop_token& stop) {
  std::chrono::steady_clock::time_point farewell = std::chrono::steady_clock::time_point::max();
  for (;;) {
    std::optional<Happened> next;
    std::size_t dropped = 0;
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, stop, kTick, [this] { return !queue_.empty(); });
      if (stop.stop_requested()) farewell = std::min(farewell, std::chrono::steady_clock::now() + kFarewell);
      if (!queue_.empty()) {
        next = std::move(queue_.front());
        queue_.pop_front();
      }
      dropped = std::exchange(dropped_, 0);
    }
    if (dropped > 0) spdlog::warn("events dropped, the API server takes them too slowly count={}", dropped);
    if (next) take(*next);
    const bool over = std::chrono::steady_clock::now() >= farewell;
    if (!next || over) sweep(stop.stop_requested(), farewell);
    if (stop.stop_requested() && (!next || over)) return;
  }
}

void ApiEventRecorder::take(const Happened& happened) {
  const auto object = happened.regarding.dump(-1, ' ', false, Json::error_handler_t::replace);
  const auto key = fmt::format("{}\n{}\n{}\n{}", object, happened.type, happened.reason, happened.note);
  const auto now = clock_.steady();
  const auto known = series_.find(key);
  if (known != series_.end() && !known->second.over && now - known->second.last < kSeries) {
    auto& series = known->second;
    ++series.count;
    series.last = now;
    series.last_wall = happened.at;
    // The second tells at once that there is a series; after that the count follows.
    if (series.count == 2 || now - series.written_at >= kBetweenCounts) count_up(series);
    return;
  }
  if (!take_token(object)) {
    spdlog::debug("event dropped, its object has too many object={} reason={}", object, happened.reason);
    return;
  }
  Series series;
  series.last = series.written_at = now;
  series.last_wall = happened.at;
  if (write(happened, series)) series_[key] = std::move(series);
}

bool ApiEventRecorder::write(const Happened& happened, Series& series) {
  const auto& about = happened.regarding;
  const auto ns = about.value("namespace", options_.ns);
  auto stem = about.value("name", std::string("unknown")).substr(0, 230);
  while (stem.ends_with('.') || stem.ends_with('-')) stem.pop_back();
  const auto name = fmt::format("{}.{:08x}{:08x}", stem, random_(), random_());
  const Json event{{"apiVersion", kEvents.api_version()},
                   {"kind", kEvents.kind},
                   {"metadata", {{"namespace", ns}, {"name", name}}},
                   {"eventTime", microtime(happened.at)},
                   {"reportingController", options_.controller},
                   {"reportingInstance", options_.instance},
                   {"action", happened.action},
                   {"reason", happened.reason},
                   {"type", happened.type},
                   {"note", happened.note},
                   {"regarding", about}};
  const auto created = client_.create(kEvents, event);
  series.event = {ns, name};
  if (!created) {
    spdlog::warn("an event could not be written object={}/{} reason={} error=\"{}\"", about.value("kind", ""), about.value("name", ""),
                 happened.reason, created.error().message);
  }
  return created.has_value();
}

void ApiEventRecorder::count_up(Series& series) {
  series.written = series.count;
  series.written_at = clock_.steady();
  const Json patch{{"series", {{"count", series.count}, {"lastObservedTime", microtime(series.last_wall)}}}};
  const auto patched = client_.merge_patch(kEvents, series.event, patch);
  if (patched) return;
  series.over = patched.error().code == ErrorCode::kNotFound;  // its time to live is over; the next of its kind is a new one
  spdlog::debug("an event could not be counted error=\"{}\"", patched.error().message);
}

void ApiEventRecorder::sweep(bool all, std::chrono::steady_clock::time_point until) {
  const auto now = clock_.steady();
  for (auto entry = series_.begin(); entry != series_.end();) {
    auto& series = entry->second;
    const bool due = series.count > series.written && (all || now - series.written_at >= kBetweenCounts);
    if (due && std::chrono::steady_clock::now() < until) count_up(series);
    entry = series.over || now - series.last >= kSeries ? series_.erase(entry) : std::next(entry);
  }
  std::erase_if(buckets_, [&](const auto& entry) { return now - entry.second.at >= kRefill * static_cast<int>(kBurst); });
}

bool ApiEventRecorder::take_token(const std::string& object) {
  const auto now = clock_.steady();
  const auto [entry, fresh] = buckets_.try_emplace(object);
  auto& bucket = entry->second;
  if (!fresh) bucket.tokens = std::min(kBurst, bucket.tokens + std::chrono::duration<double>(now - bucket.at) / kRefill);
  bucket.at = now;
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

}  // namespace

std::unique_ptr<EventRecorder> make_event_recorder(Client& client, const Clock& clock, RecorderOptions options) {
  return std::make_unique<ApiEventRecorder>(client, clock, std::move(options));
}

}  // namespace cistern::kube
