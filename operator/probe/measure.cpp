#include "operator/probe/measure.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <memory>

namespace cistern::probe {
namespace {

using std::chrono::microseconds;

struct Times {
  microseconds connect, first_byte, total;
};

// What is taken of a body, and when it is enough.
struct Sink {
  std::size_t limit;
  std::size_t taken = 0;
};

std::size_t take(char*, std::size_t size, std::size_t count, void* to) {
  auto& sink = *static_cast<Sink*>(to);
  sink.taken += size * count;
  return sink.taken >= sink.limit ? 0 : size * count;
}

class Request {
 public:
  Request(const Target& target, const Plan& plan, const std::string& path) : curl_(curl_easy_init(), &curl_easy_cleanup) {
    const auto& upstream = target.upstream;
    set(CURLOPT_URL, (upstream.url + path).c_str());
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_ERRORBUFFER, error_);
    set(CURLOPT_USERAGENT, "cistern-probe");
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(plan.timeouts.connect.count()));
    set(CURLOPT_WRITEFUNCTION, &take);
    set(CURLOPT_WRITEDATA, &sink_);
    if (!upstream.ca_pem.empty()) {
      curl_blob blob{const_cast<char*>(upstream.ca_pem.data()), upstream.ca_pem.size(), CURL_BLOB_COPY};
      set(CURLOPT_CAINFO_BLOB, &blob);
      set(CURLOPT_CAPATH, static_cast<char*>(nullptr));
    }
    if (upstream.insecure_skip_verify) {
      set(CURLOPT_SSL_VERIFYPEER, 0L);
      set(CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (!upstream.credentials) return;
    // Sent to the upstream only: libcurl leaves them out where a redirect leads elsewhere.
    if (!upstream.credentials->token.empty()) {
      set(CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BEARER));
      set(CURLOPT_XOAUTH2_BEARER, upstream.credentials->token.c_str());
    } else {
      set(CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
      set(CURLOPT_USERNAME, upstream.credentials->username.c_str());
      set(CURLOPT_PASSWORD, upstream.credentials->password.c_str());
    }
  }

  Result<Times> ask(const Plan& plan) {
    set(CURLOPT_TIMEOUT_MS, static_cast<long>((plan.timeouts.connect + plan.timeouts.first_byte).count()));
    sink_.limit = 1 << 20;
    const auto code = curl_easy_perform(curl_.get());
    if (code != CURLE_OK && code != CURLE_WRITE_ERROR) return fail(why(code));
    if (status() >= 500) return fail(ErrorCode::kUpstream, "answers {}", status());
    const auto connected = std::max(time(CURLINFO_CONNECT_TIME_T), time(CURLINFO_APPCONNECT_TIME_T)) - time(CURLINFO_NAMELOOKUP_TIME_T);
    return Times{connected, time(CURLINFO_STARTTRANSFER_TIME_T) - time(CURLINFO_PRETRANSFER_TIME_T), time(CURLINFO_TOTAL_TIME_T)};
  }

  // Bytes a second, of as much as the plan allows.
  Result<double> download(const Plan& plan) {
    set(CURLOPT_TIMEOUT_MS, static_cast<long>((plan.timeouts.connect + plan.timeouts.first_byte + plan.longest_download).count()));
    set(CURLOPT_FOLLOWLOCATION, 1L);
    set(CURLOPT_MAXREDIRS, 10L);
    sink_.limit = plan.largest_download;
    const auto code = curl_easy_perform(curl_.get());
    const bool enough = code == CURLE_WRITE_ERROR || code == CURLE_OPERATION_TIMEDOUT;
    if (code != CURLE_OK && !(enough && sink_.taken > 0)) return fail(why(code));
    if (status() != 200) return fail(ErrorCode::kUpstream, "answers {} to the download", status());
    const auto spent = time(CURLINFO_TOTAL_TIME_T) - time(CURLINFO_STARTTRANSFER_TIME_T);
    return static_cast<double>(sink_.taken) / std::max(1e-6, std::chrono::duration<double>(spent).count());
  }

 private:
  template <class Value>
  void set(CURLoption option, Value value) {
    curl_easy_setopt(curl_.get(), option, value);
  }
  microseconds time(CURLINFO which) const {
    curl_off_t value = 0;
    curl_easy_getinfo(curl_.get(), which, &value);
    return microseconds(value);
  }
  long status() const {
    long status = 0;
    curl_easy_getinfo(curl_.get(), CURLINFO_RESPONSE_CODE, &status);
    return status;
  }
  Error why(CURLcode code) const {
    const bool late = code == CURLE_OPERATION_TIMEDOUT;
    return Error{late ? ErrorCode::kTimeout : ErrorCode::kUpstream, error_[0] != '\0' ? error_ : curl_easy_strerror(code), std::nullopt};
  }

  std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl_;
  Sink sink_{0};
  char error_[CURL_ERROR_SIZE] = {};
};

microseconds median(std::vector<microseconds> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

microseconds mean_deviation(const std::vector<microseconds>& values) {
  microseconds sum{0};
  for (const auto value : values) sum += value;
  const auto count = static_cast<std::int64_t>(values.size());
  microseconds deviation{0};
  for (const auto value : values) deviation += std::chrono::abs(value - sum / count);
  return deviation / count;
}

void sum_up(const std::vector<Times>& times, Measured& measured) {
  measured.answered = static_cast<unsigned>(times.size());
  if (times.empty()) return;
  const auto of = [&](microseconds Times::*which) {
    std::vector<microseconds> values;
    for (const auto& one : times) values.push_back(one.*which);
    return values;
  };
  measured.connect = median(of(&Times::connect));
  measured.first_byte = median(of(&Times::first_byte));
  measured.total = median(of(&Times::total));
  measured.jitter = mean_deviation(of(&Times::first_byte));
}

}  // namespace

std::vector<Measured> measure(const std::vector<Target>& targets, const Plan& plan, const Progress& progress) {
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  static_cast<void>(ready);
  std::vector<Measured> all(targets.size());
  std::vector<std::vector<Times>> times(targets.size());
  const std::size_t steps =
      targets.size() * plan.count +
      static_cast<std::size_t>(std::count_if(targets.begin(), targets.end(), [](const Target& t) { return !t.download.empty(); }));
  std::size_t done = 0;
  for (unsigned round = 0; round < plan.count; ++round) {
    for (std::size_t i = 0; i < targets.size(); ++i) {
      progress(done++, steps, targets[i].upstream.name);
      ++all[i].asked;
      if (auto asked = Request(targets[i], plan, targets[i].path).ask(plan)) {
        times[i].push_back(*asked);
      } else {
        all[i].error = asked.error().message;
      }
    }
  }
  for (std::size_t i = 0; i < targets.size(); ++i) {
    all[i].target = targets[i];
    sum_up(times[i], all[i]);
    if (targets[i].download.empty()) continue;
    progress(done++, steps, targets[i].upstream.name);
    if (times[i].empty()) continue;
    if (auto speed = Request(targets[i], plan, targets[i].download).download(plan)) {
      all[i].throughput = *speed;
    } else {
      all[i].error = speed.error().message;
    }
  }
  return all;
}

}  // namespace cistern::probe
