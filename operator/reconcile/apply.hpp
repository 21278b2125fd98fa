// Writes an object only if the live one says something else.
//
// What was applied is remembered on the object itself, as the hash in kAppliedAnnotation: what we do not want any more differs by that,
// also after a restart of the operator. What the API server puts into another form than it was asked for would differ for ever; so an
// object that is as the API server answered to the same request counts as equal.
//
// What others have added to an object would survive server-side apply, which takes back only what it owns; such an object is replaced.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <tuple>

#include "operator/kube/client.hpp"
#include "operator/reconcile/informer.hpp"

namespace cistern::reconcile {

// Hash of what was applied last.
inline constexpr std::string_view kAppliedAnnotation = "cistern.dev/applied";

// Whether everything in `wanted` is in `live`: maps member by member, lists of equal length element by element, the rest equal. What is
// empty, false or 0 may be missing.
bool contains(const Json& live, const Json& wanted);

// 16 hex digits.
std::string hash_of(const Json& value);

// Whether it has the labels of what the operator makes; nothing else is ever deleted.
bool is_ours(const Json& object);

// Thread-safe, but one object is to be handled by one thread at a time.
class Applier {
 public:
  explicit Applier(kube::Client& client) : client_(client) {}

  // True: written. `live` is the object as the cache has it; null: there is none. An object that is being deleted is left alone: its end
  // leads back here. One of that name that somebody else has made is not taken over: kInvalid.
  Result<bool> apply(const kube::Resource& resource, Json wanted, const Object& live);
  // The status of `live`, which is of the same resource. Empty: nothing was written; else the object as the API server has it now.
  Result<Object> apply_status(const kube::Resource& resource, const Json& status, const Object& live);
  // Deletes exactly this object, if it is ours and not being deleted already. True: asked for; gone already is success too.
  Result<bool> remove(const kube::Resource& resource, const Object& live);

 private:
  struct Memo {
    std::string wanted;  // hashes
    std::string live;
  };
  using MemoKey = std::tuple<std::string, std::string, std::string>;  // resource, namespace, name

  Result<void> check_owner(const kube::Resource& resource, const kube::ObjectKey& key, const Object& live);
  Result<Json> replace_whole(const kube::Resource& resource, const Json& wanted, Json live);
  bool as_answered(const MemoKey& key, const std::string& wanted, const Json& live) const;

  kube::Client& client_;
  mutable std::mutex mutex_;
  std::map<MemoKey, Memo> memos_;
};

}  // namespace cistern::reconcile
