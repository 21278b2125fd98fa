// The go command's environment.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "operator/model/policy.hpp"

namespace cistern::render {

// GOPROXY, GOSUMDB, GONOPROXY, and where there is something to say GOPRIVATE and GONOSUMDB; nothing if Go is not served. `base` is
// the agent's URL without a trailing slash; with a `profile` it is that profile's view.
//
// GONOPROXY is always set, since GOPRIVATE would otherwise send private modules past the agent: the private patterns that no upstream
// serves, else `none`.
std::map<std::string, std::string> go_environment(const model::Go& go, const std::string& base, const std::string& profile = {});

// The same where any of several agents may answer, which differ in their upstreams only: what one of them does not serve is not served.
// No agent: nothing.
std::map<std::string, std::string> go_environment(std::span<const model::Go> agents, const std::string& base, const std::string& profile);

// The agents of a policy, as pods reach them: "http://cistern-default.cistern-system.svc:5050". A name, so that it is the same in IPv4 and
// IPv6; without the cluster's domain, which kubelet puts into the search list of every pod that uses the cluster's DNS.
std::string service_url(const std::string& policy, const std::string& installation_namespace);

}  // namespace cistern::render
