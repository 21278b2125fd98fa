// One connection to the fake: requests read, answers and watch streams written. Used by its thread.
#pragma once

#include <string>
#include <string_view>

#include "tests/fakes/api_server/api_server.hpp"

namespace cistern::fakes {

// What a path names: "/apis/apps/v1/namespaces/x/daemonsets/y/status".
struct Place {
  std::string collection;  // empty: no path of the API
  kube::ObjectKey key;
  std::string subresource;
};

// Whether a request for this place is about the object: by namespace and selectors. False for null.
bool selected(const ApiRequest& request, const Place& place, const kube::Json& object);
Place parse_place(std::string_view path);

class ApiConnection {
 public:
  ApiConnection(ApiServer& owner, Wire& wire) : owner_(owner), wire_(wire) {}
  void run();

 private:
  struct Answer {
    unsigned status = 200;
    kube::Json body;
    std::optional<unsigned> retry_after = std::nullopt;
  };

  // Each returns whether the connection is good for another request.
  bool serve(const ApiRequest& request);
  bool misbehave(const ApiRequest& request, const Fault& fault);
  bool write(const Answer& answer);
  bool write_stream(std::string_view bytes, const Fault& fault);
  bool watch(const ApiRequest& request, const Place& place, const Fault& fault);
  bool follow(const ApiRequest& request, const Place& place, const Fault& fault, std::uint64_t after);
  bool follow(const ApiRequest& request, const Place& place, const Fault& fault, std::uint64_t after, std::size_t orders);

  bool read_request(ApiRequest& request);
  Answer carry_out(const ApiRequest& request);
  // With the owner's mutex held:
  Answer list(const ApiRequest& request, const Place& place) const;
  Answer change(const ApiRequest& request, const Place& place);
  Answer patch(const ApiRequest& request, const Place& place, const kube::Json& body);
  std::string events_after(const ApiRequest& request, const Place& place, std::uint64_t& after) const;

  ApiServer& owner_;
  Wire& wire_;
};

}  // namespace cistern::fakes
