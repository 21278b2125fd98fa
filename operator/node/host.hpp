// What the node program does to its host beside writing files. Interfaces, so that tests need no runtime and no agent.
#pragma once

#include <memory>
#include <string>

#include "base/error.hpp"

namespace cistern::node {

class Host {
 public:
  virtual ~Host() = default;
  // GET `mirror`/v2/ from the host's network: success if it is answered 200 within two seconds. That is what a runtime asks first.
  virtual Result<void> probe(const std::string& mirror) = 0;
  // Makes CRI-O read registries.conf again (SIGHUP). kNotFound if no CRI-O runs in sight.
  virtual Result<void> reload_crio() = 0;
  // systemctl restart containerd, on the host; running containers stay. Waits for it.
  virtual Result<void> restart_containerd() = 0;
};

// Needs the host's network and PID namespace; restart_containerd also CAP_SYS_ADMIN (a privileged container).
std::unique_ptr<Host> make_host();

}  // namespace cistern::node
