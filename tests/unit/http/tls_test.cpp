#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <filesystem>

#include "support.hpp"
#include "tests/fakes/loopback_server/certificate.hpp"
#include "tests/fakes/places/places.hpp"

namespace cistern::http {
namespace {

using namespace testing;

class TlsServer : public ::testing::Test {
 protected:
  TlsServer() { write(fakes::make_certificate("first")); }
  void write(const fakes::Certificate& pair) const {
    folder_.write("tls.crt", pair.cert_pem);
    folder_.write("tls.key", pair.key_pem);
  }
  ListenerOptions listener() const {
    ListenerOptions options;
    options.tls_cert_file = folder_ / "tls.crt";
    options.tls_key_file = folder_ / "tls.key";
    return options;
  }
  const fakes::TemporaryFolder folder_;
};

class TlsClient {
 public:
  explicit TlsClient(unsigned short port, int max_version = 0, std::string_view alpn = "") : client_(port) {
    context_.reset(SSL_CTX_new(TLS_client_method()));
    if (max_version != 0) SSL_CTX_set_security_level(context_.get(), 0);
    SSL_CTX_set_max_proto_version(context_.get(), max_version);
    ssl_.reset(SSL_new(context_.get()));
    if (!alpn.empty())
      SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(alpn.data()), static_cast<unsigned>(alpn.size()));
    SSL_set_fd(ssl_.get(), client_.socket());
    connected_ = SSL_connect(ssl_.get()) == 1;
    ERR_clear_error();
  }
  bool connected() const { return connected_; }
  Client& raw() { return client_; }
  std::string common_name() const {
    X509* cert = SSL_get1_peer_certificate(ssl_.get());
    char name[100] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name, sizeof name);
    X509_free(cert);
    return name;
  }
  std::string alpn() const {
    const unsigned char* data = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_.get(), &data, &size);
    return {reinterpret_cast<const char*>(data), size};
  }
  void send(std::string_view text) { SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size())); }
  // What comes until the server closes. `clean_end`: by a close_notify.
  std::string read_to_end() {
    std::string all;
    char bytes[65536];
    int got = 0;
    while ((got = SSL_read(ssl_.get(), bytes, sizeof bytes)) > 0) all.append(bytes, static_cast<std::size_t>(got));
    clean_end = SSL_get_error(ssl_.get(), got) == SSL_ERROR_ZERO_RETURN;
    ERR_clear_error();
    return all;
  }
  std::string get(std::string_view target = "/") {
    send(fmt::format("GET {} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", target));
    const std::string all = read_to_end();
    const std::size_t end = all.find("\r\n\r\n");
    return end == std::string::npos ? all : all.substr(end + 4);
  }
  bool clean_end = false;

 private:
  Client client_;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_{nullptr, SSL_CTX_free};
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_{nullptr, SSL_free};
  bool connected_ = false;
};

TEST_F(TlsServer, AnswersAndEndsCleanly) {
  const auto server = serve(echo, {}, listener());
  TlsClient client(server->port(0));
  ASSERT_TRUE(client.connected());
  EXPECT_EQ(client.common_name(), "first");
  EXPECT_EQ(client.get("/a"), "GET /a\n");
  EXPECT_TRUE(client.clean_end);
}

TEST_F(TlsServer, AnswersPipelinedRequests) {
  const auto server = serve(echo, {}, listener());
  TlsClient client(server->port(0));
  ASSERT_TRUE(client.connected());
  client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nHEAD /2 HTTP/1.1\r\nHost: a\r\n\r\n");
  client.send("GET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  const std::string all = client.read_to_end();
  EXPECT_NE(all.find("GET /1\n"), std::string::npos);
  EXPECT_EQ(all.find("HEAD /2\n"), std::string::npos);
  EXPECT_EQ(all.substr(all.size() - 7), "GET /3\n");
}

TEST_F(TlsServer, SpeaksTls12AndHttp11Only) {
  const auto server = serve(echo, {}, listener());
  EXPECT_TRUE(TlsClient(server->port(0), TLS1_2_VERSION).connected());
  EXPECT_FALSE(TlsClient(server->port(0), TLS1_1_VERSION).connected());
  EXPECT_EQ(TlsClient(server->port(0), 0, "\x02h2\x08http/1.1").alpn(), "http/1.1");
  EXPECT_FALSE(TlsClient(server->port(0), 0, "\x02h2").connected());
}

Awaitable<Response> respond_with(Slice slice) {
  Response response;
  response.body = Body::of(std::move(slice));
  co_return response;
}

TEST_F(TlsServer, SendsFilesAndMemoryToASlowReader) {
  std::string content(5'000'000, '\0');
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 2654435761U >> 13);
  const auto path = folder_.write("content", content);
  const auto file = std::make_shared<const File>(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const Slice whole = FileSlice{file, 0, content.size()};
  const Slice memory = memory_slice(content);
  const auto server = serve(
      [=](const Request& request) {
        return respond_with(request.target == "/memory" ? memory : request.target == "/part" ? part_of(whole, 12345, 2'000'001) : whole);
      },
      {}, listener());
  for (const char* target : {"/memory", "/part", "/whole"}) {
    TlsClient client(server->port(0));
    client.send(fmt::format("GET {} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", target));
    std::this_thread::sleep_for(100ms);  // the socket fills
    const std::string all = client.read_to_end();
    const std::string body = all.substr(all.find("\r\n\r\n") + 4);
    EXPECT_TRUE(body == (std::string_view(target) == "/part" ? content.substr(12345, 2'000'001) : content)) << target;
  }
}

TEST_F(TlsServer, AFileThatEndsEarlyEndsWithoutCloseNotify) {
  const auto path = folder_.write("content", "abc");
  const auto file = std::make_shared<const File>(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const auto server = serve([=](const Request&) { return respond_with(FileSlice{file, 0, 10}); }, {}, listener());
  TlsClient client(server->port(0));
  EXPECT_EQ(client.get(), "abc");
  EXPECT_FALSE(client.clean_end);
}

TEST_F(TlsServer, TakesNewCertificatesForNewConnections) {
  const auto server = serve(echo, {}, listener());
  TlsClient before(server->port(0));
  write(fakes::make_certificate("second"));
  EXPECT_EQ(TlsClient(server->port(0)).common_name(), "first");
  server->reload_certificates();
  TlsClient afterwards(server->port(0));
  EXPECT_EQ(afterwards.common_name(), "second");
  EXPECT_EQ(before.get("/old"), "GET /old\n");
  EXPECT_EQ(afterwards.get("/new"), "GET /new\n");
}

TEST_F(TlsServer, KeepsItsCertificateWhenTheFilesAreBad) {
  const auto server = serve(echo, {}, listener());
  auto mixed = fakes::make_certificate("second");
  mixed.key_pem = fakes::make_certificate("third").key_pem;
  write(mixed);
  server->reload_certificates();
  EXPECT_EQ(TlsClient(server->port(0)).common_name(), "first");
  std::filesystem::remove(folder_ / "tls.key");
  server->reload_certificates();
  EXPECT_EQ(TlsClient(server->port(0)).common_name(), "first");
  write(fakes::make_certificate("fourth"));
  server->reload_certificates();
  EXPECT_EQ(TlsClient(server->port(0)).common_name(), "fourth");
}

TEST_F(TlsServer, TakesCertificatesFromMemoryAndAcceptsNobodyBefore) {
  ListenerOptions in_memory;
  in_memory.tls_from_memory = true;
  const auto server = serve(echo, {}, in_memory);
  EXPECT_FALSE(TlsClient(server->port(0)).connected());
  const auto first = fakes::make_certificate("first");
  const auto second = fakes::make_certificate("second");
  ASSERT_TRUE(server->use_certificate(0, first.cert_pem, first.key_pem));
  TlsClient before(server->port(0));
  EXPECT_EQ(before.common_name(), "first");
  for (const auto& [cert, key] :
       {std::pair(first.cert_pem, second.key_pem), std::pair(std::string(), first.key_pem), std::pair(first.cert_pem, std::string("x"))}) {
    const auto used = server->use_certificate(0, cert, key);
    ASSERT_FALSE(used);
    EXPECT_EQ(used.error().code, ErrorCode::kInvalid);
  }
  server->reload_certificates();
  EXPECT_EQ(TlsClient(server->port(0)).common_name(), "first");
  ASSERT_TRUE(server->use_certificate(0, second.cert_pem + first.cert_pem, second.key_pem));
  EXPECT_EQ(TlsClient(server->port(0)).common_name(), "second");
  EXPECT_EQ(before.get("/old"), "GET /old\n");
}

TEST_F(TlsServer, DoesNotOpenWithAPairThatDoesNotFit) {
  auto mixed = fakes::make_certificate("a");
  mixed.key_pem = fakes::make_certificate("b").key_pem;
  write(mixed);
  std::vector<ListenerOptions> listeners{listener()};
  listeners[0].address = "127.0.0.1:0";
  const auto server = Server::open({}, std::move(listeners));
  ASSERT_FALSE(server);
  EXPECT_EQ(server.error().code, ErrorCode::kInvalid);
  EXPECT_NE(server.error().message.find(listener().tls_key_file), std::string::npos) << server.error().message;
}

TEST_F(TlsServer, ClosesOnAHandshakeThatDoesNotComeOrIsNone) {
  ServerOptions options;
  options.header_timeout = 200ms;
  const auto server = serve(echo, options, listener());
  Client silent(server->port(0));
  EXPECT_TRUE(silent.closed_within(3s));
  Client plain(server->port(0));
  plain.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(plain.closed_within(3s));
}

TEST_F(TlsServer, ClosesIdleConnections) {
  ServerOptions options;
  options.idle_timeout = 200ms;
  const auto server = serve(echo, options, listener());
  TlsClient client(server->port(0));
  EXPECT_EQ(client.read_to_end(), "");
  EXPECT_TRUE(client.clean_end);
}

TEST_F(TlsServer, DrainsIdleConnections) {
  const auto server = serve(echo, {}, listener());
  TlsClient client(server->port(0));
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  std::this_thread::sleep_for(50ms);
  const auto begin = std::chrono::steady_clock::now();
  server->drain(10s);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 2s);
}

}  // namespace
}  // namespace cistern::http
