// TLS: whom to trust, downgrades, tunnels through proxies, HTTP/2.
#include <poll.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <boost/asio/steady_timer.hpp>

#include "tests/fakes/places/places.hpp"
#include "tests/unit/upstream/harness.hpp"
#include "tests/unit/upstream/raw_server.hpp"

namespace cistern::upstream {
namespace {

class UpstreamTls : public Harness {
 protected:
  UpstreamTls() {
    server_.on("/x", Reply{.body = "secure"});
    trusting_.ca_pem = server_.certificate();
  }
  ScriptedUpstream server_{ScriptedUpstream::Tls::kSelfSigned};
  config::Upstream trusting_;
};

TEST_F(UpstreamTls, IsTrustedByTheGivenCaOnly) {
  EXPECT_EQ(get(upstream(server_.url(), trusting_), "/x").body, "secure");
  const auto got = get(upstream(server_.url()), "/x");
  EXPECT_FAILS(got, ErrorCode::kUpstream);
  EXPECT_EQ(observer_.count(0), 1U) << "asking again does not make a certificate good";
}

TEST_F(UpstreamTls, IsNotVerifiedWhereThePolicySaysSo) {
  config::Upstream careless;
  careless.insecure_skip_verify = true;
  EXPECT_EQ(get(upstream(server_.url(), careless), "/x").body, "secure");
}

TEST_F(UpstreamTls, RespectsSslCertFile) {
  const auto file = std::filesystem::temp_directory_path() / ("cistern-ca-" + std::to_string(server_.port()) + ".pem");
  std::ofstream(file) << server_.certificate();
  setenv("SSL_CERT_FILE", file.c_str(), 1);
  const auto got = get(upstream(server_.url()), "/x");
  unsetenv("SSL_CERT_FILE");
  std::filesystem::remove(file);
  EXPECT_EQ(got.body, "secure");
}

TEST_F(UpstreamTls, IsNotLeftByARedirect) {
  ScriptedUpstream plain;
  server_.on("/down", Reply{.status = 302, .headers = {{"Location", plain.url() + "/x"}}});
  EXPECT_FAILS(get(upstream(server_.url(), trusting_), "/down"), ErrorCode::kForbidden);
  EXPECT_EQ(plain.count(), 0U);
}

void tunnel(int from, int to) {
  for (;;) {
    pollfd ends[] = {{from, POLLIN, 0}, {to, POLLIN, 0}};
    if (::poll(ends, 2, 10'000) <= 0) return;
    for (int i = 0; i < 2; ++i) {
      if (ends[i].revents == 0) continue;
      char bytes[4096];
      const auto size = ::recv(ends[i].fd, bytes, sizeof bytes, 0);
      if (size <= 0 || !send_all(ends[1 - i].fd, {bytes, static_cast<std::size_t>(size)})) return;
    }
  }
}

TEST_F(UpstreamTls, GoesThroughAProxysTunnelWithoutShowingItCredentials) {
  std::string connect;
  {
    const RawServer proxy([&](int socket) {
      connect = receive_head(socket);
      const int inner = connect_to(server_.port());
      send_all(socket, "HTTP/1.1 200 Connection established\r\nX-Proxy: 1\r\n\r\n");
      tunnel(socket, inner);
      ::close(inner);
    });
    options_.proxies.https = proxy.url();
    trusting_.credentials = config::Credentials{"user", "password", ""};
    const auto got = get(upstream(server_.url(), trusting_), "/x");
    EXPECT_EQ(got.body, "secure");
    EXPECT_FALSE(got.head.headers.contains("X-Proxy"));
    client_.reset();
  }
  EXPECT_THAT(connect, testing::StartsWith("CONNECT " + server_.authority()));
  EXPECT_THAT(connect, testing::Not(testing::HasSubstr("Authorization: Basic")));
  EXPECT_NE(server_.asked("/x").at(0).header("Authorization"), "");
}

// nginx with http2, in a folder of its own, on a port that was free a moment ago.
class Nginx {
 public:
  static constexpr std::size_t kLarge = 6 << 20;  // at /large

  Nginx() {
    // Started by root, its worker is somebody else.
    std::filesystem::permissions(folder_.path(), std::filesystem::perms(0755));
    std::ofstream(folder_ / "nginx.conf")
        << "daemon off; pid nginx.pid; error_log error.log; worker_processes 1; events {}\n"
        << "http { log_format protocol '$server_protocol'; access_log access.log protocol;\n"
        << "client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;\n"
        << "server { listen 127.0.0.1:" << port_ << " ssl http2; ssl_certificate c.pem; ssl_certificate_key k.pem;\n"
        << "location / { return 200 'ok'; } location /large { root .; } } }\n";
    const auto in_folder = "cd '" + folder_.path().string() + "' && ";
    const auto certificate = "openssl req -x509 -newkey rsa:2048 -nodes -keyout k.pem -out c.pem -days 1 -subj /CN=127.0.0.1 2>openssl.log";
    std::ofstream(folder_ / "large") << std::string(kLarge, 'x');
    ready_ = std::system((in_folder + certificate).c_str()) == 0;
    if (ready_) child_ = ::fork();
    if (child_ == 0) {
      ::execlp("nginx", "nginx", "-p", folder_.path().c_str(), "-c", (folder_ / "nginx.conf").c_str(), nullptr);
      ::_exit(127);
    }
    ready_ = ready_ && answers();
  }
  ~Nginx() {
    if (child_ > 0) {
      ::kill(child_, SIGTERM);
      ::waitpid(child_, nullptr, 0);
    }
  }
  bool ready() const { return ready_; }
  std::string url() const { return "https://127.0.0.1:" + std::to_string(port_); }
  std::vector<std::string> protocols() const {
    std::ifstream log(folder_ / "access.log");
    std::vector<std::string> lines;
    for (std::string line; std::getline(log, line);) lines.push_back(line);
    return lines;
  }

 private:
  bool answers() const {
    for (int i = 0; i < 250; ++i) {
      if (::waitpid(child_, nullptr, WNOHANG) != 0) return false;
      if (const int socket = connect_to(port_); socket >= 0) {
        ::close(socket);
        return true;
      }
      std::this_thread::sleep_for(20ms);
    }
    return false;
  }
  const fakes::TemporaryFolder folder_;
  const unsigned short port_ = fakes::free_port();
  pid_t child_ = -1;
  bool ready_ = false;
};

TEST_F(UpstreamTls, SpeaksHttp2ForSmallThingsAndHttp11ForBulk) {
  const Nginx nginx;
  if (!nginx.ready()) GTEST_SKIP() << "needs nginx with http2, and openssl";
  config::Upstream careless;
  careless.insecure_skip_verify = true;
  const auto from = upstream(nginx.url(), careless);
  auto bulk = ask("/blob");
  bulk.bulk = true;
  EXPECT_EQ(get(from, "/small").body, "ok");
  EXPECT_EQ(get(from, bulk).body, "ok");
  EXPECT_EQ(get(from, "/small").body, "ok");
  EXPECT_EQ(get(from, bulk).body, "ok");
  std::this_thread::sleep_for(100ms);
  EXPECT_THAT(nginx.protocols(), testing::ElementsAre("HTTP/2.0", "HTTP/1.1", "HTTP/2.0", "HTTP/1.1"));
}

Awaitable<std::size_t> read_slowly(std::shared_ptr<Upstream> upstream, std::string target) {
  Ask ask;
  ask.target = std::move(target);
  auto transfer = co_await upstream->open(ask);
  std::size_t read = 0;
  while (transfer) {
    asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::milliseconds(40));
    boost::system::error_code ignored;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    const auto block = co_await (*transfer)->read();
    if (!block || block->empty()) break;
    read += block->size();
  }
  co_return read;
}

TEST_F(UpstreamTls, APausedHttp2StreamGoesOnAndHoldsUpNoOther) {
  const Nginx nginx;
  if (!nginx.ready()) GTEST_SKIP() << "needs nginx with http2, and openssl";
  config::Upstream careless;
  careless.insecure_skip_verify = true;
  const auto from = upstream(nginx.url(), careless);
  std::size_t slow = 0;
  asio::co_spawn(context_, read_slowly(from, "/large"), [&](const std::exception_ptr&, std::size_t read) { slow = read; });
  context_.run_for(200ms);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(get(from, "/small").body, "ok");
  EXPECT_EQ(slow, 0U);
  context_.restart();
  context_.run();
  EXPECT_EQ(slow, Nginx::kLarge);
}

}  // namespace
}  // namespace cistern::upstream
