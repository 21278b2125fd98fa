// The API server's language as pure functions: paths, its Status objects as our errors, the lines of a watch. Private to this folder.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "operator/kube/client.hpp"

namespace cistern::kube {

// "/apis/apps/v1/namespaces/NS/daemonsets/NAME/SUBRESOURCE"; without a namespace across all, without a name the collection.
std::string path_of(const Resource& resource, const ObjectKey& key, std::string_view subresource = {});

// "a=b&c=d", values encoded.
class Query {
 public:
  // Empty values are left out.
  Query& add(std::string_view name, std::string_view value);
  // "?…", or nothing.
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// What a server asks for in Retry-After, within reason: one that says 0 would be asked as fast as it answers, and one that says a year
// never again.
std::chrono::seconds pause_asked_for(std::uint64_t seconds);

// An answer other than 2xx. `what`: verb, resource and object, for the message; the answer of a Secret is not quoted, since the API server
// may quote the request. `body`: a Status, or anything.
Error to_error(unsigned status, std::string_view body, std::string_view what, const Resource& resource,
               std::optional<std::chrono::seconds> retry_after);

// Takes a watch stream apart, whatever the pieces it comes in.
class WatchDecoder {
 public:
  WatchDecoder(const Resource& resource, std::string what) : resource_(resource), what_(std::move(what)) {}
  // Calls `on_event` for each event that is complete now. An ERROR event is an error, and so is what is no event; nothing after that is
  // looked at.
  Result<void> feed(std::string_view bytes, const std::function<void(WatchEvent)>& on_event);
  // Whether the stream ended within a line.
  bool is_within_line() const { return !rest_.empty(); }

 private:
  Result<std::optional<WatchEvent>> event(std::string_view line) const;

  const Resource& resource_;
  const std::string what_;
  std::string rest_;
};

}  // namespace cistern::kube
