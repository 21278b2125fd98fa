// Keeps a sink up to date with one resource: list, watch, and list again whenever the watch can not go on. Level-triggered: a sink sees the
// newest state of each object, not each change.
//
// Source of the rules: Kubernetes API concepts, "Efficient detection of changes"; the shape is client-go's Reflector.
#pragma once

#include <optional>
#include <random>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "operator/kube/client.hpp"

namespace cistern::kube {

// Called on the reflector's thread, one call at a time. Objects carry kind and apiVersion.
class Sink {
 public:
  virtual ~Sink() = default;
  // Everything that there is now; whatever the sink knows and is not in it is gone.
  virtual void replace(std::vector<Json> objects) = 0;
  virtual void changed(Json object) = 0;
  virtual void removed(Json object) = 0;
  // Whether what the sink knows is being kept up to date; told when it changes. `error` is null when all is well again.
  virtual void connected(const Error* error) = 0;
};

struct ReflectorOptions {
  Selection selection;
  std::chrono::milliseconds first_pause{800};  // after a failure, doubled up to …
  std::chrono::milliseconds longest_pause{30000};
};

class Reflector {
 public:
  // `client`, `sink` and `clock` outlive it.
  Reflector(Client& client, const Resource& resource, ReflectorOptions options, Sink& sink, const Clock& clock);
  // Blocks until `stop` is asked for; a list under way is waited for (see Client::interrupt).
  void run(const std::stop_token& stop);

 private:
  Result<std::string> list();
  Result<void> watch(std::string& resource_version, const std::stop_token& stop);
  // Watches from that version on, again and again, until a list is needed or `stop` is asked for.
  void follow(std::string resource_version, const std::stop_token& stop);
  std::chrono::milliseconds next_pause();
  // After `error`, or after nothing that was an error.
  void pause(const Error* error, const std::stop_token& stop);
  void tell(const Error* error);

  Client& client_;
  const Resource& resource_;
  const ReflectorOptions options_;
  Sink& sink_;
  const Clock& clock_;
  unsigned failures_ = 0;
  std::optional<bool> connected_;  // as last told
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace cistern::kube
