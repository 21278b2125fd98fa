// What a Kubernetes API server stores: objects with versions, and what happened to them, for watches. One thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "operator/kube/resource.hpp"

namespace cistern::fakes {

// Where an object is: "/api/v1/nodes", "/apis/apps/v1/daemonsets" (without the namespace).
std::string collection_of(const kube::Resource& resource);

class ObjectStore {
 public:
  struct Failure {
    unsigned status = 0;
    std::string reason;
    std::string message;
  };
  // What a write came to: the object as it is now (or was, if it is gone), or why not.
  struct Outcome {
    kube::Json object;
    std::optional<Failure> failure = std::nullopt;
    bool created = false;
  };
  struct Change {
    std::uint64_t version;
    std::string collection;
    std::string type;     // ADDED, MODIFIED, DELETED
    kube::Json object;    // after, or as it was when it went, with the version of its going
    kube::Json previous;  // null if ADDED
  };
  enum class Part { kMain, kStatus, kAll };  // which part of an object a write may change

  std::uint64_t version() const { return version_; }
  // The oldest version from which a watch may go on.
  std::uint64_t floor() const { return floor_; }
  void compact();

  std::optional<kube::Json> find(const std::string& collection, const kube::ObjectKey& key) const;
  std::vector<kube::Json> list(const std::string& collection) const;  // by namespace and name
  const std::vector<Change>& history() const { return history_; }

  Outcome create(const std::string& collection, kube::Json object);
  // `object` in place of what is there. A resourceVersion in it must be the newest; without one it is overwritten.
  Outcome replace(const std::string& collection, const kube::ObjectKey& key, kube::Json object, Part part);
  Outcome merge(const std::string& collection, const kube::ObjectKey& key, const kube::Json& patch, Part part);
  // Server-side apply by `manager`; fields that it applied before and does not any more go away.
  Outcome apply(const std::string& collection, const kube::ObjectKey& key, const kube::Json& object, const std::string& manager, Part part);
  // Waits for the finalizers, as the real one: only marks it while there are any. `uid`: empty, or must be the object's.
  Outcome remove(const std::string& collection, const kube::ObjectKey& key, const std::string& uid);
  // At once. False if it was not there.
  bool erase(const std::string& collection, const kube::ObjectKey& key);

 private:
  using Objects = std::map<kube::ObjectKey, kube::Json>;
  Outcome write(const std::string& collection, const kube::ObjectKey& key, kube::Json object, Part part);
  void record(const std::string& collection, std::string type, kube::Json object, kube::Json previous);

  std::map<std::string, Objects> collections_;
  std::map<std::string, kube::Json> applied_;  // by collection, key, manager and part
  std::vector<Change> history_;
  std::uint64_t version_ = 100;
  std::uint64_t floor_ = 0;
  std::uint64_t uids_ = 0;
};

}  // namespace cistern::fakes
