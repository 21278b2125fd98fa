#include "tests/fakes/api_server/object_store.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace cistern::fakes {
namespace {

using kube::Json;
using kube::ObjectKey;

constexpr std::string_view kCreated = "2026-01-01T00:00:00Z";

ObjectStore::Outcome refusal(unsigned status, std::string reason, std::string message) {
  return {nullptr, ObjectStore::Failure{status, std::move(reason), std::move(message)}};
}

ObjectStore::Outcome not_found(const std::string& collection, const ObjectKey& key) {
  return refusal(404, "NotFound", fmt::format("{} \"{}\" not found", collection.substr(collection.rfind('/') + 1), key.name));
}

// What `before` set and `now` does not set any more is taken out of `object`.
void take_out(Json& object, const Json& before, const Json& now) {
  if (!object.is_object() || !before.is_object()) return;
  for (const auto& [name, value] : before.items()) {
    const auto kept = now.is_object() ? now.find(name) : now.end();
    if (!now.is_object() || kept == now.end()) {
      object.erase(name);
    } else if (object.contains(name)) {
      take_out(object[name], value, *kept);
    }
  }
}

void put_in(Json& object, const Json& applied) {
  for (const auto& [name, value] : applied.items()) {
    if (value.is_object() && object.contains(name) && object[name].is_object()) {
      put_in(object[name], value);
    } else {
      object[name] = value;
    }
  }
}

// metadata that belongs to the server.
void keep_server_metadata(Json& object, const Json& stored) {
  for (const char* name : {"uid", "creationTimestamp", "generation", "deletionTimestamp", "resourceVersion", "name", "namespace"}) {
    if (stored.at("metadata").contains(name)) {
      object["metadata"][name] = stored.at("metadata").at(name);
    } else {
      object["metadata"].erase(name);
    }
  }
  for (const char* name : {"kind", "apiVersion"}) {
    if (stored.contains(name)) object[name] = stored.at(name);
  }
}

Json without(Json object, std::initializer_list<const char*> names) {
  for (const char* name : names) object.erase(name);
  return object;
}

bool has_finalizers(const Json& object) {
  const auto& metadata = object.at("metadata");
  return metadata.contains("finalizers") && !metadata.at("finalizers").empty();
}

}  // namespace

std::string collection_of(const kube::Resource& resource) {
  return resource.group.empty() ? fmt::format("/api/{}/{}", resource.version, resource.plural)
                                : fmt::format("/apis/{}/{}/{}", resource.group, resource.version, resource.plural);
}

// What happened stays, for the watches that are open already.
void ObjectStore::compact() { floor_ = ++version_; }

std::optional<Json> ObjectStore::find(const std::string& collection, const ObjectKey& key) const {
  const auto objects = collections_.find(collection);
  if (objects == collections_.end()) return std::nullopt;
  const auto found = objects->second.find(key);
  return found != objects->second.end() ? std::optional(found->second) : std::nullopt;
}

std::vector<Json> ObjectStore::list(const std::string& collection) const {
  std::vector<Json> found;
  if (const auto objects = collections_.find(collection); objects != collections_.end()) {
    for (const auto& [key, object] : objects->second) found.push_back(object);
  }
  return found;
}

void ObjectStore::record(const std::string& collection, std::string type, Json object, Json previous) {
  history_.push_back({version_, collection, std::move(type), std::move(object), std::move(previous)});
}

ObjectStore::Outcome ObjectStore::create(const std::string& collection, Json object) {
  auto& metadata = object["metadata"];
  if (kube::metadata(object, "name").empty() && !kube::metadata(object, "generateName").empty()) {
    metadata["name"] = fmt::format("{}{:05}", kube::metadata(object, "generateName"), version_);
  }
  const auto key = kube::key_of(object);
  if (key.name.empty()) return refusal(422, "Invalid", "metadata.name: Required value: name or generateName is required");
  if (metadata.contains("resourceVersion")) {
    return refusal(400, "BadRequest", "resourceVersion should not be set on objects to be created");
  }
  auto& objects = collections_[collection];
  if (objects.contains(key)) {
    return refusal(409, "AlreadyExists", fmt::format("{} \"{}\" already exists", collection.substr(collection.rfind('/') + 1), key.name));
  }
  metadata["uid"] = fmt::format("00000000-0000-4000-8000-{:012}", ++uids_);
  metadata["creationTimestamp"] = kCreated;
  metadata["generation"] = 1;
  metadata["resourceVersion"] = std::to_string(++version_);
  objects[key] = object;
  record(collection, "ADDED", object, nullptr);
  return {std::move(object), std::nullopt, true};
}

ObjectStore::Outcome ObjectStore::write(const std::string& collection, const ObjectKey& key, Json object, Part part) {
  Json& stored = collections_.at(collection).at(key);
  keep_server_metadata(object, stored);
  if (part == Part::kMain) {
    object.erase("status");
    if (stored.contains("status")) object["status"] = stored.at("status");
  } else if (part == Part::kStatus) {
    Json status = object.contains("status") ? object.at("status") : Json();
    object = stored;
    object.erase("status");
    if (!status.is_null()) object["status"] = std::move(status);
  }
  if (object == stored) return {std::move(object)};
  if (without(object, {"metadata", "status"}) != without(stored, {"metadata", "status"})) {
    object["metadata"]["generation"] = stored.at("metadata").value("generation", 1) + 1;
  }
  object["metadata"]["resourceVersion"] = std::to_string(++version_);
  if (object["metadata"].contains("deletionTimestamp") && !has_finalizers(object)) {
    record(collection, "DELETED", object, stored);
    collections_.at(collection).erase(key);
    return {std::move(object)};
  }
  record(collection, "MODIFIED", object, stored);
  stored = object;
  return {std::move(object)};
}

ObjectStore::Outcome ObjectStore::replace(const std::string& collection, const ObjectKey& key, Json object, Part part) {
  const auto stored = find(collection, key);
  if (!stored) return not_found(collection, key);
  const auto version = kube::metadata(object, "resourceVersion");
  if (!version.empty() && version != kube::metadata(*stored, "resourceVersion")) {
    return refusal(409, "Conflict", fmt::format("Operation cannot be fulfilled on \"{}\": the object has been modified", key.name));
  }
  return write(collection, key, std::move(object), part);
}

ObjectStore::Outcome ObjectStore::merge(const std::string& collection, const ObjectKey& key, const Json& patch, Part part) {
  auto object = find(collection, key);
  if (!object) return not_found(collection, key);
  const auto version = kube::metadata(patch, "resourceVersion");
  if (!version.empty() && version != kube::metadata(*object, "resourceVersion")) {
    return refusal(409, "Conflict", fmt::format("Operation cannot be fulfilled on \"{}\": the object has been modified", key.name));
  }
  object->merge_patch(patch);
  return write(collection, key, std::move(*object), part);
}

ObjectStore::Outcome ObjectStore::apply(const std::string& collection, const ObjectKey& key, const Json& object, const std::string& manager,
                                        Part part) {
  if (object.contains("metadata") && object.at("metadata").contains("managedFields")) {
    return refusal(400, "BadRequest", "metadata.managedFields must be nil");
  }
  auto& applied = applied_[fmt::format("{} {} {} {}", collection, key.to_string(), manager, part == Part::kStatus)];
  auto stored = find(collection, key);
  if (!stored) {
    if (part == Part::kStatus) return not_found(collection, key);
    auto outcome = create(collection, without(object, {"status"}));
    if (!outcome.failure) applied = object;
    return outcome;
  }
  take_out(*stored, applied, object);
  put_in(*stored, object);
  applied = object;
  return write(collection, key, std::move(*stored), part);
}

ObjectStore::Outcome ObjectStore::remove(const std::string& collection, const ObjectKey& key, const std::string& uid) {
  auto stored = find(collection, key);
  if (!stored) return not_found(collection, key);
  if (!uid.empty() && uid != kube::metadata(*stored, "uid")) {
    return refusal(
        409, "Conflict",
        fmt::format("Precondition failed: UID in precondition: {}, UID in object meta: {}", uid, kube::metadata(*stored, "uid")));
  }
  if (!has_finalizers(*stored)) {
    erase(collection, key);
    return {std::move(*stored)};
  }
  if (stored->at("metadata").contains("deletionTimestamp")) return {std::move(*stored)};
  Json previous = *stored;
  (*stored)["metadata"]["deletionTimestamp"] = kCreated;
  (*stored)["metadata"]["resourceVersion"] = std::to_string(++version_);
  collections_.at(collection).at(key) = *stored;
  record(collection, "MODIFIED", *stored, std::move(previous));
  return {std::move(*stored)};
}

bool ObjectStore::erase(const std::string& collection, const ObjectKey& key) {
  auto stored = find(collection, key);
  if (!stored) return false;
  Json previous = *stored;
  (*stored)["metadata"]["resourceVersion"] = std::to_string(++version_);
  record(collection, "DELETED", std::move(*stored), std::move(previous));
  collections_.at(collection).erase(key);
  std::erase_if(applied_, [&](const auto& entry) { return entry.first.starts_with(collection + " " + key.to_string() + " "); });
  return true;
}

}  // namespace cistern::fakes
