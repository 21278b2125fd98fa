#include "operator/reconcile/informer.hpp"

#include <utility>

namespace cistern::reconcile {
namespace {

kube::ReflectorOptions with_trim(kube::ReflectorOptions options, const Trim& trim) {
  options.selection.trim = trim;
  return options;
}

}  // namespace

ObjectCache::ObjectCache(Trim trim, std::vector<std::string> indexed, ChangeHandler handler)
    : trim_(std::move(trim)), handler_(std::move(handler)) {
  for (auto& label : indexed) indexes_.emplace(std::move(label), Index());
}

Object ObjectCache::get(const kube::ObjectKey& key) const {
  const std::shared_lock lock(mutex_);
  const auto found = objects_.find(key);
  return found == objects_.end() ? nullptr : found->second.object;
}

std::string ObjectCache::resource_version(const kube::ObjectKey& key) const {
  const std::shared_lock lock(mutex_);
  const auto found = objects_.find(key);
  return found == objects_.end() ? std::string() : found->second.version;
}

std::vector<Object> ObjectCache::all() const {
  const std::shared_lock lock(mutex_);
  std::vector<Object> objects;
  objects.reserve(objects_.size());
  for (const auto& [key, entry] : objects_) objects.push_back(entry.object);
  return objects;
}

std::vector<Object> ObjectCache::with_label(const std::string& label, const std::string& value) const {
  const std::shared_lock lock(mutex_);
  std::vector<Object> objects;
  const auto& index = indexes_.at(label);
  const auto found = index.find(value);
  if (found == index.end()) return objects;
  for (const auto& key : found->second) objects.push_back(objects_.at(key).object);
  return objects;
}

std::vector<Object> ObjectCache::in_namespace(const std::string& ns) const {
  const std::shared_lock lock(mutex_);
  std::vector<Object> objects;
  for (auto at = objects_.lower_bound({ns, ""}); at != objects_.end() && at->first.ns == ns; ++at) objects.push_back(at->second.object);
  return objects;
}

std::vector<std::string> ObjectCache::label_values(const std::string& label) const {
  const std::shared_lock lock(mutex_);
  std::vector<std::string> values;
  for (const auto& [value, keys] : indexes_.at(label)) values.push_back(value);
  return values;
}

std::size_t ObjectCache::size() const {
  const std::shared_lock lock(mutex_);
  return objects_.size();
}

std::optional<Error> ObjectCache::disconnected() const {
  const std::shared_lock lock(mutex_);
  return error_;
}

ObjectCache::Entry ObjectCache::entry_of(Json object) const {
  Entry entry;
  entry.version = kube::metadata(object, "resourceVersion");
  if (trim_) trim_(object);
  if (const auto metadata = object.find("metadata"); metadata != object.end()) {
    metadata->erase("resourceVersion");
    metadata->erase("managedFields");
  }
  entry.object = std::make_shared<const Json>(std::move(object));
  return entry;
}

void ObjectCache::index(const kube::ObjectKey& key, const Json& object, bool add) {
  for (auto& [label, values] : indexes_) {
    const std::string value = kube::label(object, label);
    if (value.empty()) continue;
    if (add) {
      values[value].insert(key);
    } else if (const auto found = values.find(value); found != values.end()) {
      found->second.erase(key);
      if (found->second.empty()) values.erase(found);
    }
  }
}

Object ObjectCache::put(const kube::ObjectKey& key, Entry entry) {
  auto& known = objects_[key];
  Object before = std::exchange(known.object, std::move(entry.object));
  known.version = std::move(entry.version);
  if (before) index(key, *before, false);
  index(key, *known.object, true);
  return before;
}

Object ObjectCache::take(const kube::ObjectKey& key) {
  const auto found = objects_.find(key);
  if (found == objects_.end()) return nullptr;
  Object before = std::move(found->second.object);
  index(key, *before, false);
  objects_.erase(found);
  return before;
}

void ObjectCache::tell(const Object& before, const Object& after) const {
  if ((!before && !after) || (before && after && *before == *after)) return;
  ++changes_;
  if (handler_) handler_(before, after);
}

void ObjectCache::replace(std::vector<Json> objects) {
  std::vector<std::pair<Object, Object>> changes;
  {
    std::map<kube::ObjectKey, Entry> fresh;
    for (auto& object : objects) {
      auto key = kube::key_of(object);
      fresh.insert_or_assign(std::move(key), entry_of(std::move(object)));
    }
    objects.clear();
    const std::unique_lock lock(mutex_);
    for (auto at = objects_.begin(); at != objects_.end();) {
      const auto key = (at++)->first;
      if (!fresh.contains(key)) changes.emplace_back(take(key), nullptr);
    }
    for (auto& [key, entry] : fresh) {
      Object after = entry.object;
      changes.emplace_back(put(key, std::move(entry)), std::move(after));
    }
  }
  synced_ = true;
  for (const auto& [before, after] : changes) tell(before, after);
}

void ObjectCache::changed(Json object) {
  const auto key = kube::key_of(object);
  Entry entry = entry_of(std::move(object));
  const Object after = entry.object;
  Object before;
  {
    const std::unique_lock lock(mutex_);
    before = put(key, std::move(entry));
  }
  tell(before, after);
}

void ObjectCache::removed(Json object) {
  Object before;
  {
    const std::unique_lock lock(mutex_);
    before = take(kube::key_of(object));
  }
  tell(before, nullptr);
}

void ObjectCache::connected(const Error* error) {
  const std::unique_lock lock(mutex_);
  error_ = error == nullptr ? std::nullopt : std::optional(*error);
}

Informer::Informer(kube::Client& client, const kube::Resource& resource, kube::ReflectorOptions options, const Clock& clock,
                   const Trim& trim, std::vector<std::string> indexed, ChangeHandler handler)
    : resource_(resource),
      cache_(trim, std::move(indexed), std::move(handler)),
      reflector_(client, resource, with_trim(std::move(options), trim), cache_, clock) {}

void Informer::start() {
  thread_ = std::jthread([this](const std::stop_token& stop) { reflector_.run(stop); });
}

void Informer::request_stop() { thread_.request_stop(); }

void Informer::stop() {
  request_stop();
  if (thread_.joinable()) thread_.join();
}

}  // namespace cistern::reconcile
