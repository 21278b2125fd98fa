#include "operator/reconcile/apply.hpp"

#include <algorithm>

#include "base/digest.hpp"
#include "operator/reconcile/trim.hpp"
#include "operator/render/manifests.hpp"

namespace cistern::reconcile {
namespace {

// The API server leaves out many fields that say nothing: false, 0, "", {}, [].
bool is_zero(const Json& value) {
  return value.empty() || value == false || value == 0 || (value.is_string() && value.get_ref<const std::string&>().empty());
}

bool has_others(const Json& answer) {
  Json copy{{"metadata", answer.at("metadata")}};
  trim_object(copy);
  return copy["metadata"].contains(kOthers);
}

// Whatever somebody has done to one of ours, one of these is left: its labels, our note on it, its owner.
bool was_made_by_us(const Json& object) {
  if (is_ours(object) || !kube::annotation(object, kAppliedAnnotation).empty()) return true;
  const auto owners = object.at("metadata").find("ownerReferences");
  return owners != object.at("metadata").end() && owners->is_array() &&
         std::ranges::any_of(*owners, [](const Json& owner) { return owner.value("kind", "") == kube::kMirrorPolicies.kind; });
}

// The object without what changes by itself, or with every write.
std::string hash_of_live(const Json& live) {
  Json copy = live;
  trim_object(copy);
  copy.erase("status");
  if (const auto metadata = copy.find("metadata"); metadata != copy.end()) {
    for (const auto* field : {"resourceVersion", "generation"}) metadata->erase(field);
  }
  return hash_of(copy);
}

}  // namespace

bool contains(const Json& live, const Json& wanted) {
  if (wanted.is_object()) {
    if (!live.is_object()) return false;
    for (const auto& [name, value] : wanted.items()) {
      const auto found = live.find(name);
      if (found == live.end() ? !is_zero(value) : !contains(*found, value)) return false;
    }
    return true;
  }
  if (wanted.is_array()) {
    if (!live.is_array() || live.size() != wanted.size()) return false;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (!contains(live[i], wanted[i])) return false;
    }
    return true;
  }
  return live == wanted;
}

std::string hash_of(const Json& value) { return Sha256::of(value.dump()).hex().substr(0, 16); }

bool is_ours(const Json& object) {
  return kube::label(object, "app.kubernetes.io/managed-by") == "cistern" && !kube::label(object, render::kPolicyOfObject).empty();
}

bool Applier::as_answered(const MemoKey& key, const std::string& wanted, const Json& live) const {
  const std::lock_guard lock(mutex_);
  const auto memo = memos_.find(key);
  return memo != memos_.end() && memo->second.wanted == wanted && memo->second.live == hash_of_live(live);
}

// Our fields are there already, so that this update only takes away, and no field becomes one of an update's.
Result<Json> Applier::replace_whole(const kube::Resource& resource, const Json& wanted, Json live) {
  for (const auto& [name, value] : wanted.items()) {
    if (name != "metadata") live[name] = value;
  }
  for (auto member = live.begin(); member != live.end();) {
    const bool kept = member.key() == "status" || member.key() == "kind" || member.key() == "apiVersion" || wanted.contains(member.key());
    member = kept ? std::next(member) : live.erase(member);
  }
  return client_.replace(resource, live);
}

// The caches of most resources have only what is labelled as ours, so what they do not have is asked for.
Result<void> Applier::check_owner(const kube::Resource& resource, const kube::ObjectKey& key, const Object& live) {
  Result<Json> found = live ? Result<Json>(Json()) : client_.get(resource, key);
  if (!found && found.error().code == ErrorCode::kNotFound) return {};
  if (!found) return fail(found.error());
  if (was_made_by_us(live ? *live : *found)) return {};
  return fail(ErrorCode::kInvalid, "{} {} is there already and is not Cistern's; rename or delete it, as Cistern needs the name",
              resource.kind, key.to_string());
}

Result<bool> Applier::apply(const kube::Resource& resource, Json wanted, const Object& live) {
  const std::string hash = hash_of(wanted);
  wanted["metadata"]["annotations"][kAppliedAnnotation] = hash;
  const auto name = kube::key_of(wanted);
  const MemoKey key(resource.plural, name.ns, name.name);
  if (live) {
    if (!kube::metadata(*live, "deletionTimestamp").empty()) return false;
    const bool added_to = live->at("metadata").contains(kOthers);
    if ((contains(*live, wanted) && !added_to) || as_answered(key, hash, *live)) return false;
  }
  if (auto checked = check_owner(resource, name, live); !checked) return fail(checked.error());
  auto answer = client_.apply(resource, wanted);
  if (answer && has_others(*answer)) answer = replace_whole(resource, wanted, std::move(*answer));
  if (!answer) return fail(answer.error());
  const std::lock_guard lock(mutex_);
  memos_[key] = {hash, hash_of_live(*answer)};
  return true;
}

Result<Object> Applier::apply_status(const kube::Resource& resource, const Json& status, const Object& live) {
  const auto name = kube::key_of(*live);
  const std::string hash = hash_of(status);
  const Json& has = live->contains("status") ? live->at("status") : Json();
  const MemoKey key(fmt::format("{}/status", resource.plural), name.ns, name.name);
  {
    const std::lock_guard lock(mutex_);
    const auto memo = memos_.find(key);
    if (has == status || (memo != memos_.end() && memo->second.wanted == hash && memo->second.live == hash_of(has))) return Object();
  }
  Json metadata{{"name", name.name}};
  if (!name.ns.empty()) metadata["namespace"] = name.ns;
  auto answer = client_.apply(resource, Json{{"metadata", std::move(metadata)}, {"status", status}}, {.subresource = "status"});
  if (!answer) return fail(answer.error());
  const std::lock_guard lock(mutex_);
  memos_[key] = {hash, hash_of(answer->value("status", Json()))};
  return std::make_shared<const Json>(std::move(*answer));
}

Result<bool> Applier::remove(const kube::Resource& resource, const Object& live) {
  if (!live || !is_ours(*live) || !kube::metadata(*live, "deletionTimestamp").empty()) return false;
  const auto name = kube::key_of(*live);
  {
    const std::lock_guard lock(mutex_);
    memos_.erase(MemoKey(resource.plural, name.ns, name.name));
  }
  auto removed = client_.remove(resource, name, {.uid = kube::metadata(*live, "uid"), .propagation = "Background"});
  // Another object of that name by now is none of this one's.
  if (!removed && removed.error().code != ErrorCode::kNotFound && removed.error().code != ErrorCode::kConflict) {
    return fail(removed.error());
  }
  return removed.has_value();
}

}  // namespace cistern::reconcile
