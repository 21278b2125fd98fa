// A client of the fake API server.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "operator/kube/configuration.hpp"
#include "tests/fakes/api_server/api_server.hpp"

namespace cistern::kube {

inline std::unique_ptr<Client> client_of(const fakes::ApiServer& server, Configuration configuration = {},
                                         std::chrono::seconds timeout = std::chrono::seconds(5)) {
  configuration.server = server.url();
  if (configuration.ca_pem.empty()) configuration.ca_pem = server.ca_pem();
  ClientOptions options;
  options.timeout = timeout;
  options.user_agent = "cistern-test/1";
  auto client = make_client(std::move(configuration), options);
  EXPECT_TRUE(client) << client.error().message;
  return client ? std::move(*client) : nullptr;
}

inline Json node(const std::string& name, const Json& labels = Json::object()) {
  return {{"metadata", {{"name", name}, {"labels", labels}}}};
}

inline Json config_map(const std::string& ns, const std::string& name, const Json& data = Json::object()) {
  return {{"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"metadata", {{"namespace", ns}, {"name", name}}}, {"data", data}};
}

}  // namespace cistern::kube
