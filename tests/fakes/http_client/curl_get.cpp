#include <curl/curl.h>

#include <memory>

#include "tests/fakes/http_client/http_client.hpp"

namespace cistern::fakes {
namespace {

std::size_t take_body(char* data, std::size_t size, std::size_t count, void* answer) {
  static_cast<Answer*>(answer)->body.append(data, size * count);
  return size * count;
}

std::size_t take_header(char* data, std::size_t size, std::size_t count, void* answer) {
  const std::string_view text(data, size * count);
  if (text.rfind("HTTP/", 0) == 0) static_cast<Answer*>(answer)->headers.clear();  // of the last hop
  for (auto& line : parse_fields(text)) static_cast<Answer*>(answer)->headers.push_back(std::move(line));
  return size * count;
}

}  // namespace

Answer curl_get(const std::string& url, const std::string& ca_file) {
  Answer answer;
  // A handle for each thread, so that connections are kept: a relay makes hundreds of requests.
  thread_local const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(), &curl_easy_cleanup);
  curl_easy_reset(curl.get());
  curl_easy_setopt(curl.get(), CURLOPT_FRESH_CONNECT, ca_file.empty() ? 0L : 1L);  // who looks at certificates wants to see them
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  if (!ca_file.empty()) curl_easy_setopt(curl.get(), CURLOPT_CAINFO, ca_file.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT, 60L);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &answer);
  curl_easy_setopt(curl.get(), CURLOPT_HEADERFUNCTION, take_header);
  curl_easy_setopt(curl.get(), CURLOPT_HEADERDATA, &answer);
  const auto code = curl_easy_perform(curl.get());
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  answer.status = static_cast<unsigned>(status);
  answer.complete = code == CURLE_OK;
  if (!answer.complete) answer.error = curl_easy_strerror(code);
  return answer;
}

}  // namespace cistern::fakes
