#include "operator/standalone/agent_http.hpp"

#include <curl/curl.h>

#include <charconv>

#include "config/checks.hpp"

namespace cistern::standalone {
namespace {

constexpr std::size_t kMaxBody = 8 << 20;

std::size_t append(char* data, std::size_t size, std::size_t count, void* body) {
  auto& text = *static_cast<std::string*>(body);
  if (text.size() + size * count > kMaxBody) return 0;
  text.append(data, size * count);
  return size * count;
}

}  // namespace

Result<AgentAddress> agent_address(const std::string& listen) {
  const auto colon = listen.rfind(':');
  unsigned port = 0;
  if (auto checked = config::check_address(listen); !checked) return fail(checked.error());
  if (colon != std::string::npos) std::from_chars(listen.data() + colon + 1, listen.data() + listen.size(), port);
  if (port == 0 || port > 65534) {
    return fail(ErrorCode::kInvalid, "\"{}\" has no port to listen on; write one from 1 to 65534, as in \"127.0.0.1:5050\"", listen);
  }
  std::string host = listen.substr(0, colon);
  if (host == "0.0.0.0") host = "127.0.0.1";
  if (host == "[::]") host = "[::1]";
  return AgentAddress{fmt::format("{}:{}", host, port), fmt::format("127.0.0.1:{}", port + 1)};
}

struct AgentHttp::Impl {
  CURL* curl = curl_easy_init();
  ~Impl() { curl_easy_cleanup(curl); }
};

AgentHttp::AgentHttp() : impl_(std::make_unique<Impl>()) {}
AgentHttp::AgentHttp(AgentHttp&&) noexcept = default;
AgentHttp::~AgentHttp() = default;

Result<std::string> AgentHttp::get(const std::string& url) { return perform(url, false); }
Result<std::string> AgentHttp::post(const std::string& url) { return perform(url, true); }

Result<std::string> AgentHttp::perform(const std::string& url, bool post) {
  CURL* curl = impl_->curl;
  std::string body;
  curl_easy_reset(curl);
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, 500L);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 1000L);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &append);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
  if (post) {
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, 0L);
  }
  if (const CURLcode code = curl_easy_perform(curl); code != CURLE_OK) {
    return fail(ErrorCode::kUnavailable, "{}: {}", url, curl_easy_strerror(code));
  }
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  if (status != 200) return fail(ErrorCode::kUpstream, "{}: answered {}: {}", url, status, body.substr(0, 200));
  return body;
}

}  // namespace cistern::standalone
