#include "http/listener.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

namespace cistern::http {

namespace {

// Closes the descriptor unless it is released.
class OwnedDescriptor {
 public:
  explicit OwnedDescriptor(int descriptor) : descriptor_(descriptor) {}
  OwnedDescriptor(const OwnedDescriptor&) = delete;
  OwnedDescriptor& operator=(const OwnedDescriptor&) = delete;
  ~OwnedDescriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  int get() const { return descriptor_; }
  int release() { return std::exchange(descriptor_, -1); }

 private:
  int descriptor_;
};

std::string name_of(const asio::ip::tcp::endpoint& endpoint) {
  const std::string address = endpoint.address().to_string();
  return endpoint.address().is_v6() ? fmt::format("[{}]:{}", address, endpoint.port()) : fmt::format("{}:{}", address, endpoint.port());
}

Failure cannot_listen(const asio::ip::tcp::endpoint& endpoint, int error_number) {
  const std::string name = name_of(endpoint);
  switch (error_number) {
    case EADDRINUSE:
      return fail(ErrorCode::kIo, "{} is already in use; another program listens there: stop it, or choose another port", name);
    case EADDRNOTAVAIL: return fail(ErrorCode::kIo, "{} is not an address of this machine; listen on one that it has, or on 0.0.0.0", name);
    case EACCES: return fail(ErrorCode::kIo, "no permission to listen on {}; choose a port above 1023", name);
    default: return fail(system_error(error_number, "listen on " + name));
  }
}

// An option that is on.
bool enable(int descriptor, int option) {
  const int on = 1;
  return ::setsockopt(descriptor, SOL_SOCKET, option, &on, sizeof on) == 0;
}

Result<int> bound_socket(const asio::ip::tcp::endpoint& endpoint, bool share_port) {
  OwnedDescriptor descriptor(::socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (descriptor.get() < 0) return cannot_listen(endpoint, errno);
  if (!enable(descriptor.get(), SO_REUSEADDR)) return cannot_listen(endpoint, errno);
  if (share_port && !enable(descriptor.get(), SO_REUSEPORT)) return cannot_listen(endpoint, errno);
  if (::bind(descriptor.get(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) != 0) return cannot_listen(endpoint, errno);
  return descriptor.release();
}

}  // namespace

Result<asio::ip::tcp::endpoint> parse_endpoint(std::string_view address) {
  const auto bad = [&] {
    return fail(ErrorCode::kInvalid, "\"{}\" is not an address to listen on; it is HOST:PORT, such as 127.0.0.1:5050 or [::]:5050",
                address);
  };
  const std::size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) return bad();
  std::string_view host = address.substr(0, colon);
  const std::string_view port_text = address.substr(colon + 1);
  unsigned short port = 0;
  const auto [end, error] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (port_text.empty() || error != std::errc() || end != port_text.data() + port_text.size()) return bad();
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = "127.0.0.1";
  boost::system::error_code ec;
  const asio::ip::address parsed = asio::ip::make_address(std::string(host), ec);
  if (ec || parsed.is_v6() != bracketed) return bad();
  return asio::ip::tcp::endpoint(parsed, port);
}

Result<int> listen_on(asio::ip::tcp::endpoint& endpoint, bool first) {
  if (first && endpoint.port() != 0) {
    const Result<int> probe = bound_socket(endpoint, false);
    if (!probe) return probe;
    ::close(*probe);
  }
  const Result<int> bound = bound_socket(endpoint, true);
  if (!bound) return bound;
  OwnedDescriptor descriptor(*bound);
  if (::listen(descriptor.get(), SOMAXCONN) != 0) return cannot_listen(endpoint, errno);
  auto size = static_cast<socklen_t>(endpoint.capacity());
  if (::getsockname(descriptor.get(), endpoint.data(), &size) != 0) return cannot_listen(endpoint, errno);
  return descriptor.release();
}

}  // namespace cistern::http
