// What the contents of credential and certificate files mean, whoever has read them. Pure.
#pragma once

#include <array>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "config/checks.hpp"
#include "config/model.hpp"

namespace cistern::config {

// What is looked at of a credentials folder, or of a Secret.
inline constexpr std::array<std::string_view, 4> kCredentialKeys = {"username", "password", "token", ".dockerconfigjson"};

// `contents`: those of kCredentialKeys that are there. username and password, or token, go before .dockerconfigjson, which is asked for
// `hosts`, the best first. One line break at the end is no part of a secret. kNotFound if there is nothing, kInvalid with what is wrong;
// neither message says where it was looked for, nor what is secret.
Result<Credentials> to_credentials(const std::map<std::string, std::string>& contents, const std::vector<std::string>& hosts);

// Names under which a .dockerconfigjson may hold the credentials for an upstream, best first. `registry` is empty for Go.
std::vector<std::string> credential_hosts(const std::string& registry, const Url& upstream);

// At least one PEM certificate, and nothing but PEM.
Result<void> check_certificates(const std::string& pem);

}  // namespace cistern::config
