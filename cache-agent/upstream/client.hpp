// The parts of the Client that tests set otherwise.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "cache-agent/upstream/exchange.hpp"
#include "cache-agent/upstream/proxy.hpp"
#include "cache-agent/upstream/upstream.hpp"

namespace cistern::upstream {

struct Options {
  Proxies proxies;                         // Client::make() takes the environment's
  std::chrono::milliseconds backoff{100};  // of the first retry; doubles with each
  AddressRule address_rule = &scope_of;
  std::vector<std::string> resolve;  // "HOST:PORT:ADDRESS", in place of DNS
};

std::unique_ptr<Client> make_client(const Clock& clock, Observer& observer, Options options);

}  // namespace cistern::upstream
