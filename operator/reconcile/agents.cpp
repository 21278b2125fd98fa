#include "operator/reconcile/agents.hpp"

#include <curl/curl.h>

#include <algorithm>

#include "operator/agent_report/report.hpp"

namespace cistern::reconcile {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t kMaxBody = 8 << 20;
// Kept open until the next round. More agents than that are connected to anew each time: it costs less than the descriptors.
constexpr long kKeptConnections = 256;

// HOST or V6 as a URL has it. What else could stand in one (a path, user information) is refused.
Result<std::string> authority(const std::string& address, std::uint16_t port) {
  constexpr std::string_view kAllowed = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-_:";
  if (address.empty() || address.find_first_not_of(kAllowed) != std::string::npos) {
    return fail(ErrorCode::kInvalid, "\"{}\" is no address of an agent", address);
  }
  const bool v6 = address.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", address, port) : fmt::format("{}:{}", address, port);
}

AgentReport report_of(const agent_report::AgentStatus& status) {
  AgentReport report;
  report.config_hash = status.config_hash;
  report.version = status.version;
  for (const auto& upstream : status.upstreams) {
    const bool withdrawn = upstream.canary && upstream.canary->state == "withdrawn";
    report.upstreams.push_back(
        {upstream.name,
         upstream.state,
         upstream.error,
         withdrawn ? upstream.canary->reason : "",
         {upstream.connect, upstream.first_byte, upstream.total, upstream.jitter, upstream.score, upstream.preferred}});
  }
  report.hits = status.hits;
  report.misses = status.misses;
  report.sent_bytes = status.sent.count;
  report.upstream_bytes = status.received.count;
  report.stored_bytes = status.stored.count;
  return report;
}

// One agent being asked: first for its state, then, on the same connection, for its numbers.
class Asking {
 public:
  explicit Asking(CURLM* multi) : multi_(multi), curl_(curl_easy_init()) {}
  Asking(const Asking&) = delete;
  Asking& operator=(const Asking&) = delete;
  ~Asking() {
    curl_multi_remove_handle(multi_, curl_);
    curl_easy_cleanup(curl_);
  }

  CURL* handle() const { return curl_; }
  std::size_t agent() const { return agent_; }

  void begin(std::size_t agent, std::string at, milliseconds limit) {
    agent_ = agent;
    at_ = std::move(at);
    until_ = Clock::now() + limit;
    status_ = {};
    numbers_ = false;
    get("/status");
  }

  // What has come of it; empty while there is more to ask.
  std::optional<Result<AgentReport>> done(CURLcode code) {
    curl_multi_remove_handle(multi_, curl_);
    if (auto checked = check(code); !checked) return fail(checked.error());
    if (!numbers_) {
      if (auto read = agent_report::read_status(body_, status_); !read) return fail(read.error().in(at_));
      if (status_.config_hash.empty())
        return fail(ErrorCode::kUpstream, "{}: its status names no configuration; is it a cache-agent?", at_);
      numbers_ = true;
      get("/metrics");
      return std::nullopt;
    }
    agent_report::read_metrics(body_, status_);
    return report_of(status_);
  }

 private:
  static std::size_t append(char* data, std::size_t size, std::size_t count, void* asking) {
    auto& self = *static_cast<Asking*>(asking);
    if (self.body_.size() + size * count > kMaxBody) return 0;
    self.body_.append(data, size * count);
    return size * count;
  }

  void get(const char* path) {
    const auto left = std::chrono::ceil<milliseconds>(until_ - Clock::now()).count();
    body_ = std::string();  // one large answer is not kept in memory
    curl_easy_reset(curl_);
    curl_easy_setopt(curl_, CURLOPT_URL, ("http://" + at_ + path).c_str());
    curl_easy_setopt(curl_, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(curl_, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(curl_, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl_, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl_, CURLOPT_TIMEOUT_MS, std::max<long>(1, left));
    curl_easy_setopt(curl_, CURLOPT_WRITEFUNCTION, &Asking::append);
    curl_easy_setopt(curl_, CURLOPT_WRITEDATA, this);
    curl_easy_setopt(curl_, CURLOPT_PRIVATE, this);
    curl_multi_add_handle(multi_, curl_);
  }

  Result<void> check(CURLcode code) const {
    if (code == CURLE_OPERATION_TIMEDOUT) return fail(ErrorCode::kTimeout, "{}: no answer in time", at_);
    if (code == CURLE_WRITE_ERROR) return fail(ErrorCode::kUpstream, "{}: its answer is larger than 8 MiB", at_);
    // Not libcurl's longer text, which holds how long it took: a status that names the error would change with every round.
    if (code != CURLE_OK) return fail(ErrorCode::kUpstream, "{}: {}", at_, curl_easy_strerror(code));
    long answer = 0;
    curl_easy_getinfo(curl_, CURLINFO_RESPONSE_CODE, &answer);
    if (answer != 200) return fail(ErrorCode::kUpstream, "{}: answered {}", at_, answer);
    return {};
  }

  CURLM* const multi_;
  CURL* const curl_;
  std::size_t agent_ = 0;
  std::string at_;
  Clock::time_point until_;
  agent_report::AgentStatus status_;
  std::string body_;
  bool numbers_ = false;
};

class CurlProbe final : public AgentProbe {
 public:
  explicit CurlProbe(std::size_t parallel) : parallel_(std::max<std::size_t>(1, parallel)), multi_(curl_multi_init()) {
    curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, std::max(kKeptConnections, static_cast<long>(parallel_)));
  }
  CurlProbe(const CurlProbe&) = delete;
  CurlProbe& operator=(const CurlProbe&) = delete;
  ~CurlProbe() override {
    asking_.clear();
    curl_multi_cleanup(multi_);
  }

  std::vector<Result<AgentReport>> ask(const std::vector<std::string>& addresses, std::uint16_t port, milliseconds limit) override {
    std::vector<Result<AgentReport>> results(addresses.size(), fail(ErrorCode::kInternal, "not asked"));
    std::size_t next = 0;
    // False: there is nobody left to ask.
    const auto ask_next = [&](Asking& asking) {
      while (next < addresses.size()) {
        const auto agent = next++;
        auto at = authority(addresses[agent], port);
        if (at) {
          asking.begin(agent, std::move(*at), limit);
          return true;
        }
        results[agent] = fail(at.error());
      }
      return false;
    };
    while (asking_.size() < std::min(parallel_, addresses.size())) asking_.push_back(std::make_unique<Asking>(multi_));
    std::size_t running = 0;
    for (auto& asking : asking_) running += ask_next(*asking) ? 1 : 0;
    while (running > 0) {
      int transfers = 0;
      curl_multi_perform(multi_, &transfers);
      int left = 0;
      bool news = false;
      while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
        if (message->msg != CURLMSG_DONE) continue;
        news = true;
        Asking* asking = nullptr;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &asking);
        auto result = asking->done(message->data.result);
        if (!result) continue;
        results[asking->agent()] = std::move(*result);
        if (!ask_next(*asking)) --running;
      }
      // Every transfer has a time limit, so that libcurl itself wakes us for those over theirs.
      if (!news) curl_multi_poll(multi_, nullptr, 0, 1000, nullptr);
    }
    return results;
  }

 private:
  const std::size_t parallel_;
  CURLM* const multi_;
  std::vector<std::unique_ptr<Asking>> asking_;
};

}  // namespace

std::unique_ptr<AgentProbe> make_agent_probe(std::size_t parallel) {
  // Once, and before there are threads that could do it at the same time.
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  static_cast<void>(ready);
  return std::make_unique<CurlProbe>(parallel);
}

}  // namespace cistern::reconcile
