#include "cache-agent/upstream/exchange.hpp"

#include <algorithm>
#include <charconv>

#include "cache-agent/upstream/url.hpp"

namespace cistern::upstream {
namespace {

constexpr std::size_t kHeaderLimit = 64 << 10;
// What is left of an answer that nobody reads on is taken in, so that its connection can be used again, if it is no more than this …
constexpr std::uint64_t kDrainLimit = 64 << 10;
constexpr std::chrono::seconds kDrainTime{1};
// The idle watch looks this often in each `idle`.
constexpr std::size_t kIdleTicks = 4;
// Slower than this over the whole of `idle` is stalled.
constexpr double kSlowestBytesPerSecond = 1024;
constexpr std::uint64_t kReportEvery = 1 << 20;

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r' || text.back() == '\n')) text.remove_suffix(1);
  return text;
}

template <class Number>
std::optional<Number> number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return {};
  return value;
}

// Whether asking again may help. Certificates and codings stay what they are.
bool may_pass(CURLcode code) {
  switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL: return false;
    default: return true;
  }
}

}  // namespace

Exchange::Exchange(Loop& loop, Observer& observer, HopRequest request)
    : loop_(loop), observer_(observer), request_(std::move(request)), timer_(loop.context()) {}

Exchange::~Exchange() { close(); }

void Exchange::close() {
  if (easy_ != nullptr) curl_easy_cleanup(easy_);
  easy_ = nullptr;
  curl_slist_free_all(header_list_);
  curl_slist_free_all(resolve_list_);
  header_list_ = resolve_list_ = nullptr;
}

void Exchange::start() {
  if (abandoned_) return;
  if (loop_.is_stopped()) return stopped();
  easy_ = curl_easy_init();
  if (easy_ == nullptr || !set_options()) {
    transient_ = false;
    end(Error{ErrorCode::kInvalid, fmt::format("{}: the request can not be sent", request_.label), {}});
    close();
    return;
  }
  if (!loop_.add(easy_, shared_from_this())) {
    end(Error{ErrorCode::kInternal, fmt::format("{}: libcurl takes no transfer", request_.label), {}});
    close();
  }
}

void Exchange::abandon() {
  abandoned_ = true;
  if (phase_ == Phase::kEnded || easy_ == nullptr) return;
  const auto left = bytes_left();
  if (phase_ == Phase::kBody && !paused_ && left && *left <= kDrainLimit) {
    discarding_ = true;
    wait_for(kDrainTime);
    return;
  }
  end(Error{ErrorCode::kCancelled, fmt::format("{}: nobody waits for the answer", request_.label), {}});
  loop_.remove(easy_);
  close();
}

std::optional<std::uint64_t> Exchange::bytes_left() const {
  if (!length_known_) return {};
  curl_off_t downloaded = 0;
  curl_easy_getinfo(easy_, CURLINFO_SIZE_DOWNLOAD_T, &downloaded);
  return expected_ - std::min(expected_, static_cast<std::uint64_t>(downloaded));
}

// --- the head

bool Exchange::header_line(std::string_view line) {
  header_bytes_ += line.size();
  if (header_bytes_ > kHeaderLimit) {
    verdict_ = Error{ErrorCode::kUpstream, fmt::format("{}: the answer's header is larger than 64 KiB", request_.label), {}};
    transient_ = false;
    return false;
  }
  if (phase_ == Phase::kBody) return true;  // trailers
  line = trimmed(line);
  if (line.starts_with("HTTP/")) {
    head_.headers.clear();
    const auto space = line.find(' ');
    head_.status = space == std::string_view::npos ? 0 : number<unsigned>(line.substr(space + 1, 3)).value_or(0);
    return true;
  }
  if (line.empty()) return head_.status < 200 || head_complete();
  const auto colon = line.find(':');
  if (colon != std::string_view::npos && colon != 0) head_.headers.add(line.substr(0, colon), trimmed(line.substr(colon + 1)));
  return true;
}

bool Exchange::head_complete() {
  const auto nonsense = [this](std::string_view what) {
    verdict_ = Error{ErrorCode::kUpstream, fmt::format("{}: {}", request_.label, what), {}};
    return false;
  };
  auto& headers = head_.headers;
  std::optional<std::uint64_t> length;
  for (const auto& [name, value] : headers.all()) {
    if (!http::equal_ignoring_case(name, "Content-Length")) continue;
    const auto told = number<std::uint64_t>(value);
    if (!told || (length && *length != *told)) return nonsense("an answer with a Content-Length that is no length");
    length = told;
  }
  if (headers.contains("Transfer-Encoding")) length.reset();
  length_known_ = length.has_value() && request_.verb == Verb::kGet;
  expected_ = length.value_or(0);
  const auto coding = headers.get("Content-Encoding");
  if (!coding.empty() && !http::equal_ignoring_case(coding, "identity")) {
    // Not asked for, and sent all the same: libcurl decodes it. A part of a coded whole can not be decoded.
    if (head_.status == 206) return nonsense("a partial answer in a content coding");
    headers.remove("Content-Encoding");
    headers.remove("Content-Length");
    length.reset();
  }
  head_.length = length;
  head_.url = without_query(request_.url);
  take_timing();
  phase_ = Phase::kBody;
  restart_idle_watch();
  observer_.answered(request_.counted_as, head_.status);
  {
    const std::lock_guard lock(mutex_);
    head_ready_ = true;
  }
  if (!touched_) loop_.touch(shared_from_this());
  touched_ = true;
  return true;
}

// --- the body

std::size_t Exchange::body(std::string_view data) {
  if (!discarding_) {
    const std::lock_guard lock(mutex_);
    if (buffered_ + data.size() > kWindow) {
      paused_ = true;
      resume_due_ = true;
      return CURL_WRITEFUNC_PAUSE;
    }
    append(data);
    if (wanted_ && buffered_ >= kBlock) {
      wanted_ = false;
      event_.notify();
    }
  }
  received_ += data.size();
  if (received_ - reported_ >= kReportEvery) report_received();
  if (!touched_) loop_.touch(shared_from_this());
  touched_ = true;
  return data.size();
}

void Exchange::append(std::string_view data) {
  buffered_ += data.size();
  while (!data.empty()) {
    if (blocks_.empty() || blocks_.back().size() == kBlock) {
      blocks_.emplace_back();
      // Small answers take little memory; of a large one every further block will be filled.
      const std::uint64_t left = length_known_ ? expected_ - std::min(expected_, received_) : data.size();
      blocks_.back().reserve(received_ >= kBlock ? kBlock : static_cast<std::size_t>(std::min<std::uint64_t>(kBlock, left)));
    }
    auto& block = blocks_.back();
    const auto part = data.substr(0, kBlock - block.size());
    block.append(part);
    data.remove_prefix(part.size());
  }
}

void Exchange::deliver() {
  touched_ = false;
  const std::lock_guard lock(mutex_);
  if (!wanted_) return;
  wanted_ = false;
  event_.notify();
}

void Exchange::resume() {
  if (!paused_ || easy_ == nullptr) return;
  paused_ = false;
  restart_idle_watch();
  curl_easy_pause(easy_, CURLPAUSE_CONT);  // may call body(), which may pause again
}

Awaitable<Result<void>> Exchange::head_arrived() {
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (head_ready_) co_return Result<void>();
      if (ended_) co_return fail(error_.value_or(Error{ErrorCode::kUpstream, fmt::format("{}: no answer", request_.label), {}}));
      wanted_ = true;
    }
    co_await event_.wait();
  }
}

Awaitable<Result<std::string>> Exchange::read() {
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (!blocks_.empty()) {
        std::string block = std::move(blocks_.front());
        blocks_.pop_front();
        buffered_ -= block.size();
        if (resume_due_ && buffered_ <= kWindow / 2) {
          resume_due_ = false;
          loop_.post([self = shared_from_this()] { self->resume(); });
        }
        co_return block;
      }
      if (ended_ && error_) co_return fail(*error_);
      if (ended_) co_return std::string();
      wanted_ = true;
    }
    co_await event_.wait();
  }
}

// --- time

void Exchange::wait_for(std::chrono::milliseconds duration) {
  timer_.expires_after(duration);
  timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (!error) self->timer_fired();
  });
}

void Exchange::restart_idle_watch() {
  received_at_ticks_.assign(1, received_);
  wait_for(request_.timeouts.idle / kIdleTicks);
}

bool Exchange::stalled() {
  received_at_ticks_.push_back(received_);
  if (received_at_ticks_.size() <= kIdleTicks) return false;
  const auto taken = static_cast<double>(received_ - received_at_ticks_.front());
  received_at_ticks_.pop_front();
  return taken < kSlowestBytesPerSecond * std::chrono::duration<double>(request_.timeouts.idle).count();
}

void Exchange::timer_fired() {
  if (phase_ == Phase::kEnded || easy_ == nullptr) return;
  if (discarding_) {
    end(Error{ErrorCode::kCancelled, fmt::format("{}: nobody waits for the answer", request_.label), {}});
  } else if (phase_ == Phase::kWaiting) {
    end(Error{ErrorCode::kTimeout, fmt::format("{}: no answer within {}", request_.label, to_string(request_.timeouts.first_byte)), {}});
  } else if (paused_) {
    return;  // the reader is slow, not the upstream; resume() starts the watch again
  } else if (stalled()) {
    end(Error{ErrorCode::kTimeout, fmt::format("{}: stalled for {}", request_.label, to_string(request_.timeouts.idle)), {}});
  } else {
    wait_for(request_.timeouts.idle / kIdleTicks);
    return;
  }
  loop_.remove(easy_);
  close();
}

// --- the end

void Exchange::finished(CURLcode code) {
  if (code == CURLE_OK && phase_ != Phase::kBody) {
    end(Error{ErrorCode::kUpstream, fmt::format("{}: an answer without a head", request_.label), {}});
  } else if (code == CURLE_OK) {
    total_ = since_sent(CURLINFO_TOTAL_TIME_T);
    end({});
  } else {
    long connects = 0;
    curl_easy_getinfo(easy_, CURLINFO_NUM_CONNECTS, &connects);
    stale_connection_ = phase_ == Phase::kWaiting && connects == 0 && header_bytes_ == 0;
    transient_ = transient_ && may_pass(code);
    end(verdict_ ? *verdict_ : error_of(code));
  }
  close();
}

void Exchange::stopped() {
  abandoned_ = true;  // no answer is not the upstream's doing
  end(Error{ErrorCode::kCancelled, fmt::format("{}: the client has been stopped", request_.label), {}});
  close();
}

void Exchange::end(std::optional<Error> error) {
  if (phase_ == Phase::kEnded) return;
  if (phase_ != Phase::kBody && !abandoned_) observer_.answered(request_.counted_as, 0);
  report_received();
  phase_ = Phase::kEnded;
  timer_.cancel();
  const std::lock_guard lock(mutex_);
  ended_ = true;
  error_ = std::move(error);
  wanted_ = false;
  event_.notify();
}

void Exchange::report_received() {
  if (received_ > reported_) observer_.received(request_.counted_as, received_ - reported_);
  reported_ = received_;
}

std::chrono::microseconds Exchange::since_sent(CURLINFO point) const {
  curl_off_t sent = 0;
  curl_off_t then = 0;
  curl_easy_getinfo(easy_, CURLINFO_PRETRANSFER_TIME_T, &sent);
  curl_easy_getinfo(easy_, point, &then);
  return std::chrono::microseconds(std::max<curl_off_t>(0, then - sent));
}

void Exchange::take_timing() {
  timing_.first_byte = since_sent(CURLINFO_STARTTRANSFER_TIME_T);
  long made = 0;
  curl_off_t resolved = 0;
  curl_off_t connected = 0;
  curl_off_t secured = 0;
  curl_easy_getinfo(easy_, CURLINFO_NUM_CONNECTS, &made);
  curl_easy_getinfo(easy_, CURLINFO_NAMELOOKUP_TIME_T, &resolved);
  curl_easy_getinfo(easy_, CURLINFO_CONNECT_TIME_T, &connected);
  curl_easy_getinfo(easy_, CURLINFO_APPCONNECT_TIME_T, &secured);
  if (made > 0) timing_.connect = std::chrono::microseconds(std::max<curl_off_t>(0, std::max(connected, secured) - resolved));
}

Error Exchange::error_of(CURLcode code) const {
  const char* text = error_text_[0] != '\0' ? error_text_ : curl_easy_strerror(code);
  const bool timeout = code == CURLE_OPERATION_TIMEDOUT;
  if (timeout)
    return Error{ErrorCode::kTimeout, fmt::format("{}: no connection within {}", request_.label, to_string(request_.timeouts.connect)), {}};
  return Error{ErrorCode::kUpstream, fmt::format("{}: {}", request_.label, trimmed(text)), {}};
}

// --- the reader's end

Hop::Hop(std::shared_ptr<Loop> loop, Observer& observer, HopRequest request)
    : loop_(std::move(loop)), exchange_(std::make_shared<Exchange>(*loop_, observer, std::move(request))) {
  loop_->post([exchange = exchange_] { exchange->start(); });
}

Hop& Hop::operator=(Hop&& other) noexcept {
  release();
  exchange_ = std::move(other.exchange_);
  loop_ = std::move(other.loop_);
  return *this;
}

void Hop::release() {
  if (exchange_ == nullptr) return;
  loop_->post([exchange = std::move(exchange_)] { exchange->abandon(); });
  loop_.reset();
}

}  // namespace cistern::upstream
