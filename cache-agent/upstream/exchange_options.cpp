// What libcurl is told about one exchange, and its callbacks.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>

#include "cache-agent/upstream/exchange.hpp"

namespace cistern::upstream {
namespace {

constexpr long kBulkBuffer = 256 << 10;

bool is_https(std::string_view url) { return url.starts_with("https:"); }

// A header field that can not become two.
bool is_clean(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c >= 0x20 ? c != 0x7f : c == '\t'; });
}

}  // namespace

bool Exchange::set_options() {
  const auto set = [this](CURLoption option, auto value) { return curl_easy_setopt(easy_, option, value) == CURLE_OK; };
  if (!is_clean(request_.url) || !set(CURLOPT_URL, request_.url.c_str()) || !set_headers()) return false;
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_PATH_AS_IS, 1L);
  set(CURLOPT_NOBODY, request_.verb == Verb::kHead ? 1L : 0L);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_QUICK_EXIT, 1L);  // do not wait on this thread for a resolver that hangs
  set(CURLOPT_ERRORBUFFER, error_text_);
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request_.timeouts.connect.count()));
  set(CURLOPT_USERAGENT, "cistern/" CISTERN_VERSION);
  // Asks for no coding, and decodes what is coded nonetheless.
  set(CURLOPT_ACCEPT_ENCODING, "identity");
  set(CURLOPT_HTTP_VERSION, static_cast<long>(is_https(request_.url) && !request_.bulk ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
  if (request_.bulk) set(CURLOPT_BUFFERSIZE, kBulkBuffer);
  // Which proxy has been chosen by proxy_for(); set always, or libcurl reads the environment itself.
  set(CURLOPT_PROXY, request_.proxy.c_str());
  set(CURLOPT_NOPROXY, "");
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(CURLOPT_SHARE, loop_.share());
  set(CURLOPT_HEADERFUNCTION, &Exchange::on_header);
  set(CURLOPT_HEADERDATA, this);
  set(CURLOPT_WRITEFUNCTION, &Exchange::on_body);
  set(CURLOPT_WRITEDATA, this);
  set(CURLOPT_OPENSOCKETFUNCTION, &Exchange::on_open_socket);
  set(CURLOPT_OPENSOCKETDATA, this);
  set(CURLOPT_PREREQFUNCTION, &Exchange::on_ready_to_send);
  set(CURLOPT_PREREQDATA, this);
  for (const auto& entry : request_.resolve) resolve_list_ = curl_slist_append(resolve_list_, entry.c_str());
  set(CURLOPT_RESOLVE, resolve_list_);
  set_tls_options();
  return true;
}

bool Exchange::set_headers() {
  for (const auto& [name, value] : request_.headers.all()) {
    if (!is_clean(name) || !is_clean(value)) return false;
    // "name;" is how libcurl is told to send an empty one.
    const auto line = value.empty() ? fmt::format("{};", name) : fmt::format("{}: {}", name, value);
    header_list_ = curl_slist_append(header_list_, line.c_str());
  }
  return curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, header_list_) == CURLE_OK;
}

void Exchange::set_tls_options() {
  const auto set = [this](CURLoption option, auto value) { curl_easy_setopt(easy_, option, value); };
  const auto* tls = request_.tls.get();
  if (tls != nullptr && !tls->ca_pem.empty()) {
    curl_blob blob{const_cast<char*>(tls->ca_pem.data()), tls->ca_pem.size(), CURL_BLOB_NOCOPY};
    set(CURLOPT_CAINFO_BLOB, &blob);
    set(CURLOPT_CAPATH, static_cast<char*>(nullptr));
  } else {
    // As OpenSSL itself would; the library, unlike the tool, does not look.
    if (const char* file = std::getenv("SSL_CERT_FILE"); file != nullptr && *file != '\0') set(CURLOPT_CAINFO, file);
    if (const char* folder = std::getenv("SSL_CERT_DIR"); folder != nullptr && *folder != '\0') set(CURLOPT_CAPATH, folder);
  }
  if (tls == nullptr) return;
  if (!tls->client_cert_file.empty()) {
    set(CURLOPT_SSLCERT, tls->client_cert_file.c_str());
    set(CURLOPT_SSLKEY, tls->client_key_file.c_str());
  }
  if (tls->insecure_skip_verify) {
    set(CURLOPT_SSL_VERIFYPEER, 0L);
    set(CURLOPT_SSL_VERIFYHOST, 0L);
  }
}

std::size_t Exchange::on_header(char* data, std::size_t size, std::size_t count, void* self) {
  return static_cast<Exchange*>(self)->header_line({data, size * count}) ? size * count : 0;
}

std::size_t Exchange::on_body(char* data, std::size_t size, std::size_t count, void* self) {
  return static_cast<Exchange*>(self)->body({data, size * count});
}

curl_socket_t Exchange::on_open_socket(void* self, curlsocktype /*purpose*/, curl_sockaddr* address) {
  auto& exchange = *static_cast<Exchange*>(self);
  const auto& request = exchange.request_;
  if (request.proxy.empty() && request.limit != Scope::kNever && request.address_rule(&address->addr) > request.limit) {
    exchange.refuse_address();
    return CURL_SOCKET_BAD;
  }
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

// Called before each request is sent, on a connection new or reused. A reused one was opened under another request's limit.
int Exchange::on_ready_to_send(void* self, char* remote, char* /*local*/, int /*remote_port*/, int /*local_port*/) {
  auto& exchange = *static_cast<Exchange*>(self);
  const auto& request = exchange.request_;
  if (request.proxy.empty()) {
    exchange.scope_ = exchange.scope_of_text(remote);
    if (request.limit != Scope::kNever && exchange.scope_ > request.limit) {
      exchange.refuse_address();
      return CURL_PREREQFUNC_ABORT;
    }
  }
  exchange.phase_ = Phase::kWaiting;
  exchange.verdict_.reset();  // another of the name's addresses was allowed
  exchange.wait_for(request.timeouts.first_byte);
  return CURL_PREREQFUNC_OK;
}

void Exchange::refuse_address() {
  verdict_ = Error{ErrorCode::kForbidden, fmt::format("{}: its address is not one that may be asked from there", request_.label), {}};
  transient_ = false;
}

Scope Exchange::scope_of_text(const char* address) const {
  sockaddr_storage storage{};
  if (inet_pton(AF_INET, address, &reinterpret_cast<sockaddr_in*>(&storage)->sin_addr) == 1) {
    storage.ss_family = AF_INET;
  } else if (inet_pton(AF_INET6, address, &reinterpret_cast<sockaddr_in6*>(&storage)->sin6_addr) == 1) {
    storage.ss_family = AF_INET6;
  } else {
    return Scope::kNever;
  }
  return request_.address_rule(reinterpret_cast<const sockaddr*>(&storage));
}

}  // namespace cistern::upstream
