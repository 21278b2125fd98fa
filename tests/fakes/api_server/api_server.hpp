// A Kubernetes API server in memory on 127.0.0.1: get, list (paged), watch, create, update, server-side apply, merge patch, delete, with
// resource versions, selectors, finalizers, generations and the status subresource; and it misbehaves when told to. A thread for each
// connection. Every public function may be called from any thread at any time.
//
// Simpler than the real one: no schema, no defaults and no admission (any resource exists), no garbage collection of what an owner leaves
// behind, one field manager, and apply takes lists whole instead of merging them by their keys. Like the real one: a write that changes
// nothing gives no new version, a field that is no longer applied goes away, status is written by its subresource only.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "operator/kube/resource.hpp"
#include "tests/fakes/api_server/object_store.hpp"
#include "tests/fakes/http_fields.hpp"
#include "tests/fakes/loopback_server/certificate.hpp"
#include "tests/fakes/loopback_server/loopback_server.hpp"

namespace cistern::fakes {

// A request as it was seen. Watches are GETs with "watch=true" in their query.
struct ApiRequest {
  std::string method;
  std::string path;   // "/api/v1/nodes"
  std::string query;  // as sent, without '?'
  Fields headers;
  std::string body;

  bool is_watch() const;
  // One of the query's values, decoded; empty if it is not there.
  std::string parameter(std::string_view name) const;
  // Whether it could change something: anything but GET.
  bool is_mutating() const { return method != "GET"; }
};

// What goes wrong with requests that match: the first fault that does is taken, and used up after `times`.
struct Fault {
  std::string method = {};             // empty: any; "WATCH" and "LIST" and "GET" (of one object) tell the GETs apart
  std::string path = {};               // a part of the path; empty: any
  unsigned times = 1;                  // 0: until clear_faults()
  unsigned skip = 0;                   // that many matching requests pass first
  std::chrono::milliseconds delay{0};  // before anything else
  // Then one of:
  bool silent = false;       // no answer, the connection stays open
  bool reset = false;        // RST instead of an answer
  bool lose_answer = false;  // the request is carried out, then RST
  unsigned status = 0;       // this answer, with a Status object in it
  std::string reason = {};   // of that Status; empty: the usual one
  std::string message = {};  // of that Status
  std::optional<unsigned> retry_after = {};
  std::string raw = {};  // these bytes instead of the whole answer, then a close
  // Or, of a watch:
  std::string stream = {};             // a 200 whose stream begins with these bytes, then events as usual, unless it …
  bool then_close = false;             // … ends after them: properly, or …
  bool then_reset = false;             // … by RST
  std::size_t piece = 0;               // the stream is sent in chunks of so many bytes …
  std::chrono::milliseconds pause{0};  // … and this is the rest between two
};

struct ApiServerOptions {
  bool tls = false;                      // with a self-signed certificate
  std::string client_ca_pem = {};        // with tls: whose client certificates are asked for (and must be shown)
  std::vector<std::string> tokens = {};  // one of these must be shown as a Bearer token, else 401; empty: anybody may
  std::string certificate_names = "IP:127.0.0.1,IP:::1,DNS:localhost";  // of that certificate
  bool ipv6 = false;                                                    // on [::1] instead
  std::size_t page_limit = 0;                                           // items in a page at most, whatever `limit` asks for; 0: as asked
};

class ApiServer {
 public:
  explicit ApiServer(ApiServerOptions options = {});
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

  std::string url() const;  // "http://127.0.0.1:43210"
  unsigned short port() const { return server_.port(); }
  const std::string& ca_pem() const { return certificate_.cert_pem; }  // with tls

  // --- objects, as if somebody else wrote them
  // Creates or replaces, its status too. kind and apiVersion are filled in; metadata.name must be there. Gives what is stored.
  kube::Json put(const kube::Resource& resource, kube::Json object);
  // As RFC 7396, metadata and status too.
  kube::Json patch(const kube::Resource& resource, const kube::ObjectKey& key, const kube::Json& merge);
  // At once, whatever its finalizers. False if it was not there.
  bool remove(const kube::Resource& resource, const kube::ObjectKey& key);
  std::optional<kube::Json> object(const kube::Resource& resource, const kube::ObjectKey& key) const;
  std::vector<kube::Json> objects(const kube::Resource& resource) const;

  // --- what was asked
  std::vector<ApiRequest> requests() const;
  std::vector<ApiRequest> mutating_requests() const;
  // With `path` as a part of their path; "WATCH" and "LIST" as in Fault.
  std::size_t count(std::string_view method, std::string_view path) const;
  void forget_requests();
  // Whether that many such requests come within the time.
  bool wait_for(std::string_view method, std::string_view path, std::size_t times,
                std::chrono::milliseconds limit = std::chrono::seconds(5)) const;
  std::size_t connections() const { return server_.accepted(); }  // so far

  // --- trouble
  void add_fault(Fault fault);
  void clear_faults();
  // Forgets the past: watches from before now, and lists that continue from before now, are 410.
  void compact();
  // Whether a watch from a forgotten version is told by an ERROR event in a 200 stream (as the real one does most of the time) or by 410.
  void set_gone_in_stream(bool in_stream) { gone_in_stream_ = in_stream; }
  std::size_t watches() const { return watches_; }  // open now
  bool wait_for_watches(std::size_t count, std::chrono::milliseconds limit = std::chrono::seconds(5)) const;
  void end_watches();    // properly, as after timeoutSeconds
  void reset_watches();  // by RST
  // While true, open watches say nothing, their connections stay.
  void stall_watches(bool stalled);
  // A BOOKMARK with the newest version on every watch that allows it.
  void send_bookmarks();
  // These bytes on every open watch of the resource, as they are.
  void send_on_watches(const kube::Resource& resource, const std::string& bytes);
  // Not there: connections are cut, new ones refused. And back again, on the same port, objects and all.
  void go_down() { server_.go_down(); }
  void come_up() { server_.come_up(); }
  void set_tokens(std::vector<std::string> tokens);

 private:
  friend class ApiConnection;
  // What every open watch is told beside the store's changes.
  struct Order {
    enum class Kind { kEnd, kReset, kBookmark, kBytes } kind;
    std::string collection;  // of kBytes
    std::string bytes;
  };

  bool admitted(const ApiRequest& request) const;
  std::optional<Fault> fault_for(const ApiRequest& request);
  void give_order(Order order);

  const ApiServerOptions options_;
  const Certificate certificate_;
  std::atomic<bool> gone_in_stream_ = true;
  std::atomic<std::size_t> watches_ = 0;

  // Guards what follows, the store too.
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  ObjectStore store_;
  std::vector<ApiRequest> requests_;
  std::vector<std::string> tokens_;
  std::list<Fault> faults_;
  std::vector<Order> orders_;
  bool stalled_ = false;

  LoopbackServer server_;  // the last: its threads use the rest
};

}  // namespace cistern::fakes
