// What the API server has of one resource, at hand: kept up to date by a reflector on a thread of its own.
//
// Objects are kept without what changes with every write (resourceVersion, managedFields) and without what nobody here reads
// (operator/reconcile/trim.hpp), so that two of them are equal exactly if they say the same.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "operator/kube/reflector.hpp"

namespace cistern::reconcile {

using kube::Json;
using Object = std::shared_ptr<const Json>;
using Trim = std::function<void(Json& object)>;

// `before` is null for what is new, `after` for what is gone. Called on the reflector's thread, after the cache has changed; must not block
// for long.
using ChangeHandler = std::function<void(const Object& before, const Object& after)>;

// Thread-safe to read; written by one reflector.
class ObjectCache final : public kube::Sink {
 public:
  // `indexed`: labels by whose values objects are found.
  ObjectCache(Trim trim, std::vector<std::string> indexed, ChangeHandler handler);

  // Null if there is none.
  Object get(const kube::ObjectKey& key) const;
  // Of the object as it is here; empty if there is none.
  std::string resource_version(const kube::ObjectKey& key) const;
  std::vector<Object> all() const;
  // Those whose label `label` (an indexed one) has this value.
  std::vector<Object> with_label(const std::string& label, const std::string& value) const;
  std::vector<Object> in_namespace(const std::string& ns) const;
  // Every value that `label` has.
  std::vector<std::string> label_values(const std::string& label) const;
  std::size_t size() const;
  // Grows whenever an object comes, goes or says something else.
  std::uint64_t changes() const { return changes_; }

  // Whether everything that there was at the start is here.
  bool has_synced() const { return synced_; }
  // Why it is not kept up to date now; empty: it is.
  std::optional<Error> disconnected() const;

  // kube::Sink
  void replace(std::vector<Json> objects) override;
  void changed(Json object) override;
  void removed(Json object) override;
  void connected(const Error* error) override;

 private:
  struct Entry {
    Object object;
    std::string version;
  };
  using Index = std::map<std::string, std::set<kube::ObjectKey>>;  // value → objects

  Entry entry_of(Json object) const;
  // Both with the lock held; what was there before.
  Object put(const kube::ObjectKey& key, Entry entry);
  Object take(const kube::ObjectKey& key);
  void index(const kube::ObjectKey& key, const Json& object, bool add);
  void tell(const Object& before, const Object& after) const;

  const Trim trim_;
  const ChangeHandler handler_;
  mutable std::shared_mutex mutex_;
  std::map<kube::ObjectKey, Entry> objects_;
  std::map<std::string, Index> indexes_;  // by label
  std::optional<Error> error_;
  std::atomic<bool> synced_{false};
  mutable std::atomic<std::uint64_t> changes_{0};
};

// A cache and the thread that fills it.
class Informer {
 public:
  Informer(kube::Client& client, const kube::Resource& resource, kube::ReflectorOptions options, const Clock& clock, const Trim& trim,
           std::vector<std::string> indexed, ChangeHandler handler);

  void start();
  void request_stop();
  // Returns when the thread has ended.
  void stop();

  const kube::Resource& resource() const { return resource_; }
  const ObjectCache& cache() const { return cache_; }

 private:
  const kube::Resource& resource_;
  ObjectCache cache_;
  kube::Reflector reflector_;
  std::jthread thread_;
};

}  // namespace cistern::reconcile
