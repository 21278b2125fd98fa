// The addresses behind a name, with the time for which they hold.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"

namespace cistern::peers {

struct Resolution {
  std::vector<std::string> addresses;  // IPv4 and IPv6, as text, sorted, each once
  std::chrono::seconds ttl{};          // of the answer that expires first
};

// Blocks; called from one thread at a time.
class Resolver {
 public:
  virtual ~Resolver() = default;
  // kNotFound if the name has no address, kTimeout or kIo if nobody could be asked.
  virtual Result<Resolution> resolve(const std::string& host) = 0;
};

// Asks the name servers of resolv.conf, with its search list, as these tell how long an answer holds; a name that they do not know is
// looked up as the system does (hosts file), and then holds for 5 s. Addresses resolve to themselves.
std::unique_ptr<Resolver> make_system_resolver();

// The addresses of this machine's interfaces, as text.
std::vector<std::string> local_addresses();

}  // namespace cistern::peers
