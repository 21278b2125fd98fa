#include "cache-agent/peers/resolver.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <sys/socket.h>

namespace cistern::peers {
namespace {

constexpr std::chrono::seconds kUnknownTtl{5};

std::string address_text(int family, const void* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  return inet_ntop(family, address, text.data(), text.size()) == nullptr ? std::string() : std::string(text.data());
}

std::string address_text(const sockaddr* address) {
  if (address == nullptr) return {};
  if (address->sa_family == AF_INET) return address_text(AF_INET, &reinterpret_cast<const sockaddr_in*>(address)->sin_addr);
  if (address->sa_family == AF_INET6) return address_text(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr);
  return {};
}

void tidy(std::vector<std::string>& addresses) {
  std::erase(addresses, "");
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
}

// One question (A or AAAA) to the name servers; adds what they answer.
bool ask(struct __res_state& state, const std::string& host, int type, Resolution& found) {
  std::vector<unsigned char> answer(65536);
  const int length = res_nsearch(&state, host.c_str(), ns_c_in, type, answer.data(), static_cast<int>(answer.size()));
  if (length < 0) return false;
  ns_msg message;
  if (ns_initparse(answer.data(), std::min(length, static_cast<int>(answer.size())), &message) != 0) return false;
  for (int i = 0; i < ns_msg_count(message, ns_s_an); ++i) {
    ns_rr record;
    if (ns_parserr(&message, ns_s_an, i, &record) != 0) return false;
    // A CNAME before the addresses may expire first.
    found.ttl = std::min(found.ttl, std::chrono::seconds(ns_rr_ttl(record)));
    if (ns_rr_type(record) == ns_t_a && ns_rr_rdlen(record) == 4) found.addresses.push_back(address_text(AF_INET, ns_rr_rdata(record)));
    if (ns_rr_type(record) == ns_t_aaaa && ns_rr_rdlen(record) == 16) {
      found.addresses.push_back(address_text(AF_INET6, ns_rr_rdata(record)));
    }
  }
  return true;
}

std::optional<Resolution> ask_name_servers(const std::string& host) {
  struct __res_state state {};
  if (res_ninit(&state) != 0) return std::nullopt;
  Resolution found{{}, std::chrono::hours(1)};
  const bool v4 = ask(state, host, ns_t_a, found);
  const bool v6 = ask(state, host, ns_t_aaaa, found);
  res_nclose(&state);
  if ((!v4 && !v6) || found.addresses.empty()) return std::nullopt;
  tidy(found.addresses);
  return found;
}

Result<Resolution> ask_system(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int error = getaddrinfo(host.c_str(), nullptr, &hints, &list);
  if (error != 0) {
    const auto code = error == EAI_NONAME ? ErrorCode::kNotFound : error == EAI_AGAIN ? ErrorCode::kTimeout : ErrorCode::kIo;
    return fail(code, "peers' name {}: {}", host, gai_strerror(error));
  }
  Resolution found{{}, kUnknownTtl};
  for (const auto* one = list; one != nullptr; one = one->ai_next) found.addresses.push_back(address_text(one->ai_addr));
  freeaddrinfo(list);
  tidy(found.addresses);
  return found;
}

bool is_address(const std::string& host) {
  std::array<unsigned char, 16> ignored{};
  return inet_pton(AF_INET, host.c_str(), ignored.data()) == 1 || inet_pton(AF_INET6, host.c_str(), ignored.data()) == 1;
}

class SystemResolver final : public Resolver {
 public:
  Result<Resolution> resolve(const std::string& host) override {
    if (is_address(host)) return Resolution{{host}, kUnknownTtl};
    if (auto found = ask_name_servers(host)) return std::move(*found);
    return ask_system(host);
  }
};

}  // namespace

std::unique_ptr<Resolver> make_system_resolver() { return std::make_unique<SystemResolver>(); }

std::vector<std::string> local_addresses() {
  std::vector<std::string> addresses;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return addresses;
  for (const auto* one = list; one != nullptr; one = one->ifa_next) addresses.push_back(address_text(one->ifa_addr));
  freeifaddrs(list);
  tidy(addresses);
  return addresses;
}

}  // namespace cistern::peers
