// What the API server is to the webhook: POSTs over TLS, trusting a bundle. One thread.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <string>

namespace cistern::admission::test {

struct HttpsAnswer {
  long status = 0;  // 0: none, and `error` says why
  std::string body;
  std::string error;
  bool new_connection = false;
};

class HttpsClient {
 public:
  // `host` is the name that is looked for in the certificate; it is dialled on loopback.
  HttpsClient(const std::string& host, unsigned short port, std::string ca_bundle)
      : curl_(curl_easy_init()), url_("https://" + host + ":" + std::to_string(port)), bundle_(std::move(ca_bundle)) {
    resolve_.reset(curl_slist_append(nullptr, (host + ":" + std::to_string(port) + ":127.0.0.1").c_str()));
  }

  // Over the connection that is there, unless it was closed.
  HttpsAnswer post(const std::string& path, const std::string& body, const char* method = "POST") {
    HttpsAnswer answer;
    auto* curl = curl_.get();
    curl_easy_reset(curl);
    curl_blob bundle{bundle_.data(), bundle_.size(), CURL_BLOB_NOCOPY};
    curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &bundle);
    curl_easy_setopt(curl, CURLOPT_RESOLVE, resolve_.get());
    curl_easy_setopt(curl, CURLOPT_URL, (url_ + path).c_str());
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.data());
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 20L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(
        curl, CURLOPT_WRITEFUNCTION, +[](char* data, std::size_t, std::size_t size, void* to) {
          static_cast<std::string*>(to)->append(data, size);
          return size;
        });
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer.body);
    const auto code = curl_easy_perform(curl);
    if (code != CURLE_OK) answer.error = curl_easy_strerror(code);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
    long connects = 0;
    curl_easy_getinfo(curl, CURLINFO_NUM_CONNECTS, &connects);
    answer.new_connection = connects > 0;
    return answer;
  }

 private:
  struct Free {
    void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };
  std::unique_ptr<curl_slist, Free> resolve_;
  std::unique_ptr<CURL, Free> curl_;
  std::string url_, bundle_;
};

}  // namespace cistern::admission::test
