// The Kubernetes API: verbs over JSON. Every call blocks, for at most its time limit; any thread, many at once.
//
// 429, and 503 with Retry-After, are waited out and tried again within the limit. Refused and reset connections are tried again for a few
// seconds: always where the server has not seen the request, else if it may be repeated (all but create). A list has the limit for each of
// its pages. What comes back as an error:
//   kNotFound 404 · kConflict 409 · kGone 410 · kInvalid 400, 422, and 500 for an applied field that is not of its type (the server's
//   message, which names the field) · kForbidden 401, 403
//   kTooManyRequests 429 (retry_after) · kTimeout 408, 504, no answer · kUpstream any other 5xx, a refused connection, nonsense
// Messages name verb, resource and object; they never hold a token, a header or the body of a Secret.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "base/error.hpp"
#include "operator/kube/resource.hpp"

namespace cistern::kube {

// Whose changes these are, in managedFields.
inline constexpr std::string_view kFieldManager = "cistern";

struct Selection {
  std::string ns;              // empty: every namespace
  std::string label_selector;  // as in the API, "a=b,c in (d)"
  std::string field_selector;
  // Of a list: called on each item as its page arrives, so that what nobody needs of the items never piles up. It leaves metadata.name,
  // namespace and resourceVersion.
  std::function<void(Json&)> trim = {};
};

struct WatchEvent {
  enum class Type { kAdded, kModified, kDeleted, kBookmark };
  Type type;
  Json object;
};

struct WatchOptions {
  Selection selection;
  std::string resource_version;        // events after this one
  std::chrono::seconds timeout{300};   // asked of the server (timeoutSeconds)
  std::chrono::seconds silence{330};   // without a byte: the watch is taken for dead. Above `timeout`
  std::function<void()> on_open = {};  // the server has accepted the watch; what follows are its events
};

struct ApplyOptions {
  std::string subresource;  // "status", or empty
  bool force = true;        // takes fields over from other managers
};

struct RemoveOptions {
  std::string uid;                         // only if it is still this object (a conflict otherwise)
  std::string propagation = "Background";  // Background | Foreground | Orphan
};

struct Version {
  unsigned major = 0;
  unsigned minor = 0;
  auto operator<=>(const Version&) const = default;
};

class Client {
 public:
  virtual ~Client() = default;

  virtual Result<Version> server_version() = 0;
  virtual Result<Json> get(const Resource& resource, const ObjectKey& key) = 0;
  // The whole list, asked for in pages: {"metadata": {"resourceVersion": …}, "items": […]}. Items have no kind and apiVersion.
  virtual Result<Json> list(const Resource& resource, const Selection& selection) = 0;
  virtual Result<Json> create(const Resource& resource, const Json& object) = 0;
  // PUT; kConflict unless metadata.resourceVersion is the newest.
  virtual Result<Json> replace(const Resource& resource, const Json& object) = 0;
  // Server-side apply by kFieldManager; creates what is not there (but not with a subresource). apiVersion and kind are filled in.
  virtual Result<Json> apply(const Resource& resource, const Json& object, const ApplyOptions& options = {}) = 0;
  // RFC 7396. `subresource` as above.
  virtual Result<Json> merge_patch(const Resource& resource, const ObjectKey& key, const Json& patch,
                                   const std::string& subresource = {}) = 0;
  // What is gone already is kNotFound.
  virtual Result<void> remove(const Resource& resource, const ObjectKey& key, const RemoveOptions& options = {}) = 0;
  // Calls `on_event` on this thread for each event, until the server ends the stream (success), it breaks or falls silent, or `stop` is
  // asked for (kCancelled, within a second). kGone: the resource version is too old, whether the status said so or an ERROR event in the
  // stream.
  virtual Result<void> watch(const Resource& resource, const WatchOptions& options, const std::function<void(WatchEvent)>& on_event,
                             std::stop_token stop) = 0;
  // For the end of the program: every call that is under way, and every later one, returns at once, kCancelled.
  virtual void interrupt() {}
};

}  // namespace cistern::kube
