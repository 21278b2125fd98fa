// cpprestsdk's headers use what this definition takes away. Nothing of Asio is called here; see README.md.
#undef BOOST_ASIO_NO_DEPRECATED

#include "operator/kube/transport.hpp"

#include <cpprest/http_client.h>
#include <cpprest/producerconsumerstream.h>
#include <pplx/threadpool.h>

#include <arpa/inet.h>

#include <charconv>
#include <condition_variable>
#include <mutex>

#include "base/units.hpp"
#include "operator/kube/protocol.hpp"
#include "operator/kube/tls.hpp"

namespace cistern::kube {
namespace {

using web::http::http_response;
using web::http::client::http_client;
using web::http::client::http_client_config;
using ByteBuffer = concurrency::streams::producer_consumer_buffer<std::uint8_t>;
using SteadyClock = std::chrono::steady_clock;
using Outcome = tl::expected<HttpAnswer, TransportFailure>;

// An error's body, when it has been sent as a stream.
constexpr std::size_t kMaxErrorBody = 64 << 10;
// For a request that was cancelled to go away; it is left to itself after that.
constexpr std::chrono::milliseconds kGrace{200};

// Of one request; shared by its caller and the pool's threads, whoever is longer at it.
struct Progress {
  std::mutex mutex;
  std::condition_variable_any changed;
  bool head = false;      // status and retry_after are there
  bool done = false;      // nothing more will happen
  bool readable = false;  // the stream has bytes, or has ended
  HttpAnswer answer;
  std::string failure;  // empty: it went well
};

void tell(const std::shared_ptr<Progress>& progress, const std::function<void(Progress&)>& change) {
  const std::lock_guard lock(progress->mutex);
  change(*progress);
  progress->changed.notify_all();
}

// The task's result, or why there is none. Asking is a duty: pplx ends the program for an exception that nobody has looked at.
template <class T>
std::optional<T> result_of(const pplx::task<T>& task, std::string& failure) {
  try {
    return task.get();
  } catch (const std::exception& exception) {
    failure = exception.what();
  } catch (...) {
    failure = "unknown failure";
  }
  if (failure.empty()) failure = "failed";
  return std::nullopt;
}

std::optional<std::chrono::seconds> retry_after(const http_response& response) {
  const auto& headers = response.headers();
  const auto found = headers.find("Retry-After");
  if (found == headers.end()) return std::nullopt;
  std::uint64_t seconds = 0;
  const auto& text = found->second;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return pause_asked_for(seconds);
}

bool is_address(const std::string& host) {
  in6_addr address{};
  return ::inet_pton(AF_INET, host.c_str(), &address) == 1 || ::inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

// cpprestsdk hands the host to the resolver and to the check of the certificate as it stands, so an IPv6 address must lose its brackets.
Result<web::uri> parse_server(const std::string& server) {
  try {
    const web::uri parsed(server);
    const auto& host = parsed.host();
    if ((parsed.scheme() != "https" && parsed.scheme() != "http") || host.empty()) {
      return fail(ErrorCode::kInvalid, "the API server's address \"{}\" is not of the form https://HOST:PORT", server);
    }
    if (!host.starts_with('[')) return parsed;
    return web::uri_builder(parsed).set_host(host.substr(1, host.size() - 2)).to_uri();
  } catch (const std::exception& exception) {
    return fail(ErrorCode::kInvalid, "the API server's address \"{}\" can not be used: {}", server, exception.what());
  }
}

}  // namespace

struct Transport::Impl {
  web::uri server;
  std::string user_agent;
  std::string tls_server_name;
  std::shared_ptr<TlsSettings> tls;
  http_client_config config;
  std::unique_ptr<http_client> client;  // of exchanges, with its pool of connections

  web::http::http_request make(const HttpRequest& asked) const {
    web::http::http_request request(asked.method);
    request.set_request_uri(web::uri(asked.target));
    auto& headers = request.headers();
    headers.add("Accept", "application/json");
    if (!user_agent.empty()) headers.add("User-Agent", user_agent);
    if (!asked.token.empty()) headers.add("Authorization", "Bearer " + asked.token);
    // The name that cpprestsdk sends as SNI and looks for in the certificate.
    if (!tls_server_name.empty()) headers.add("Host", tls_server_name);
    // A stream with a known length can be sent again when a pooled connection turns out to be dead.
    if (!asked.body.empty()) request.set_body(asked.body, asked.content_type);
    if (!asked.body.empty()) headers.set_content_type(asked.content_type);
    return request;
  }

  TransportFailure failure(const std::string& what) const {
    const auto has = [&](std::string_view text) { return what.find(text) != std::string::npos; };
    const bool unsent = has("connect to any") || has("resolv") || has("handshake") || has("write request");
    std::string message = fmt::format("{}: {}", server.to_string(), what);
    if (const auto problem = tls->take_problem(); !problem.empty() && has("handshake")) {
      // Trying again does not help.
      return {
          Error{ErrorCode::kForbidden, fmt::format("{}: the API server's certificate is refused: {}", server.to_string(), problem), {}}};
    }
    return {Error{ErrorCode::kUpstream, std::move(message), {}}, true, unsent};
  }

  TransportFailure no_answer(const std::stop_token& stop, std::chrono::milliseconds limit) const {
    if (stop.stop_requested()) return {Error{ErrorCode::kCancelled, "cancelled", {}}};
    return {Error{ErrorCode::kTimeout, fmt::format("{}: no answer within {}", server.to_string(), to_string(limit)), {}}};
  }
};

Transport::Transport(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Transport::~Transport() = default;

Result<std::unique_ptr<Transport>> Transport::make(const Configuration& configuration, const ClientOptions& options) {
  auto server = parse_server(configuration.server);
  if (!server) return fail(server.error());
  auto tls = TlsSettings::make(configuration);
  if (!tls) return fail(tls.error());
  try {
    crossplat::threadpool::initialize_with_threads(std::max(options.threads, 1U));
  } catch (const std::exception&) {  // somebody was first
  }
  auto impl = std::make_unique<Impl>();
  impl->server = *server;
  impl->user_agent = options.user_agent;
  impl->tls_server_name = configuration.tls_server_name;
  impl->tls = *tls;
  impl->config.set_validate_certificates(!configuration.insecure_skip_verify);
  impl->config.set_tlsext_sni_enabled(!configuration.tls_server_name.empty() || !is_address(server->host()));
  impl->config.set_ssl_context_callback([tls = *tls](boost::asio::ssl::context& context) { tls->apply(context.native_handle()); });
  // It counts inactivity; requests are limited by their callers, before it.
  impl->config.set_timeout(options.timeout + std::chrono::seconds(10));
  try {
    impl->client = std::make_unique<http_client>(impl->server, impl->config);
  } catch (const std::exception& exception) {
    return fail(ErrorCode::kInvalid, "the API server's address \"{}\" can not be used: {}", configuration.server, exception.what());
  }
  return std::unique_ptr<Transport>(new Transport(std::move(impl)));
}

Outcome Transport::exchange(const HttpRequest& asked, std::chrono::milliseconds limit, const std::stop_token& stop) {
  const auto progress = std::make_shared<Progress>();
  pplx::cancellation_token_source cancel;
  const auto until = SteadyClock::now() + limit;
  try {
    impl_->client->request(impl_->make(asked), cancel.get_token())
        .then([progress](http_response response) {
          tell(progress, [&](Progress& now) { now.answer = {response.status_code(), {}, retry_after(response)}; });
          return response.extract_vector();
        })
        .then([progress](const pplx::task<std::vector<unsigned char>>& task) {
          std::string failure;
          const auto body = result_of(task, failure);
          tell(progress, [&](Progress& now) {
            if (body) now.answer.body.assign(body->begin(), body->end());
            now.failure = failure;
            now.done = true;
          });
        });
  } catch (const std::exception& exception) {
    return tl::unexpected(TransportFailure{Error{ErrorCode::kInvalid, exception.what(), {}}});
  }
  std::unique_lock lock(progress->mutex);
  const auto done = [&] { return progress->done; };
  if (!progress->changed.wait_until(lock, stop, until, done)) {
    lock.unlock();
    cancel.cancel();
    lock.lock();
    progress->changed.wait_for(lock, kGrace, done);
    return tl::unexpected(impl_->no_answer(stop, limit));
  }
  if (!progress->failure.empty()) return tl::unexpected(impl_->failure(progress->failure));
  return std::move(progress->answer);
}

namespace {

// The reading side of a stream, on the caller's thread.
class StreamReader {
 public:
  StreamReader(std::shared_ptr<Progress> progress, ByteBuffer buffer) : progress_(std::move(progress)), buffer_(std::move(buffer)) {}
  // What waits in the buffer holds on to itself until the buffer is closed and it has been told so, on a thread of the pool: a process that
  // ends at once would leave it behind.
  ~StreamReader() {
    buffer_.close(std::ios_base::out);
    std::unique_lock lock(progress_->mutex);
    if (waiting_) progress_->changed.wait_for(lock, std::chrono::seconds(1), [&] { return progress_->readable; });
  }
  StreamReader(const StreamReader&) = delete;
  StreamReader& operator=(const StreamReader&) = delete;

  // Bytes at hand; empty if there are none now.
  std::string take() {
    std::string bytes;
    std::uint8_t* begin = nullptr;
    std::size_t count = 0;
    while (buffer_.acquire(begin, count) && count > 0) {
      bytes.append(reinterpret_cast<const char*>(begin), count);
      buffer_.release(begin, count);
    }
    return bytes;
  }

  // Whether bytes, or the end, have come by then.
  bool wait(SteadyClock::time_point until, const std::stop_token& stop) {
    if (!waiting_) {
      waiting_ = true;
      tell(progress_, [](Progress& now) { now.readable = false; });
      buffer_.getc().then([progress = progress_](const pplx::task<ByteBuffer::int_type>& task) {
        std::string ignored;
        result_of(task, ignored);
        tell(progress, [](Progress& now) { now.readable = true; });
      });
    }
    std::unique_lock lock(progress_->mutex);
    if (!progress_->changed.wait_until(lock, stop, until, [&] { return progress_->readable; })) return false;
    waiting_ = false;
    return true;
  }

 private:
  const std::shared_ptr<Progress> progress_;
  ByteBuffer buffer_;
  bool waiting_ = false;
};

}  // namespace

Outcome Transport::stream(const HttpRequest& asked, std::chrono::milliseconds limit, std::chrono::milliseconds silence,
                          const std::function<bool(std::string_view)>& on_bytes, const std::stop_token& stop) {
  const auto progress = std::make_shared<Progress>();
  ByteBuffer buffer;
  StreamReader reader(progress, buffer);
  struct Cancel {
    ~Cancel() { source.cancel(); }
    pplx::cancellation_token_source source;
  };
  const Cancel cancel;  // before the buffer is closed, lest the connection go on for nobody
  try {
    auto config = impl_->config;
    config.set_timeout(std::chrono::ceil<std::chrono::seconds>(std::max(silence, limit)) + std::chrono::seconds(10));
    http_client client(impl_->server, config);
    auto request = impl_->make(asked);
    request.set_response_stream(buffer.create_ostream());
    client.request(request, cancel.source.get_token())
        .then([progress](http_response response) {
          tell(progress, [&](Progress& now) {
            now.answer = {response.status_code(), {}, retry_after(response)};
            now.head = true;
          });
          return response.content_ready();
        })
        .then([progress, closing = buffer](const pplx::task<http_response>& task) mutable {
          std::string failure;
          result_of(task, failure);
          tell(progress, [&](Progress& now) {
            now.failure = failure;
            now.done = true;
          });
          closing.close(std::ios_base::out);  // or whoever reads would wait for ever
        });
  } catch (const std::exception& exception) {
    return tl::unexpected(TransportFailure{Error{ErrorCode::kInvalid, exception.what(), {}}});
  }
  std::unique_lock lock(progress->mutex);
  if (!progress->changed.wait_for(lock, stop, limit, [&] { return progress->head || progress->done; })) {
    return tl::unexpected(impl_->no_answer(stop, limit));
  }
  const unsigned status = progress->answer.status;
  lock.unlock();
  std::string error_body;
  if (status == 200 && !on_bytes({})) return HttpAnswer{status, {}, {}};
  for (;;) {
    if (stop.stop_requested()) return tl::unexpected(impl_->no_answer(stop, silence));
    const auto bytes = reader.take();
    if (!bytes.empty()) {
      if (status == 200 && !on_bytes(bytes)) return HttpAnswer{status, {}, {}};
      if (status != 200 && error_body.size() < kMaxErrorBody) error_body += bytes;
      continue;
    }
    lock.lock();
    const bool done = progress->done;
    lock.unlock();
    if (done) break;
    if (!reader.wait(SteadyClock::now() + (status == 200 ? silence : limit), stop) && !stop.stop_requested()) {
      return tl::unexpected(TransportFailure{
          Error{ErrorCode::kTimeout, fmt::format("{}: nothing came for {}", impl_->server.to_string(), to_string(silence)), {}}, true});
    }
  }
  // Between the look at the buffer and the look at `done` the last bytes may have come.
  if (const auto rest = reader.take(); !rest.empty()) {
    if (status == 200) on_bytes(rest);
    if (status != 200) error_body += rest;
  }
  lock.lock();
  if (!progress->failure.empty()) return tl::unexpected(impl_->failure(progress->failure));
  progress->answer.body = std::move(error_body);
  return std::move(progress->answer);
}

}  // namespace cistern::kube
