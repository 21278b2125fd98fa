#include "operator/reconcile/group.hpp"

#include <openssl/rand.h>

#include <array>
#include <utility>

#include "base/encoding.hpp"
#include "operator/render/node_config.hpp"

namespace cistern::reconcile {
namespace {

constexpr const char* kPeerKey = "peer.key";
constexpr std::size_t kShortestPeerKey = 16;
constexpr milliseconds kLeavingPause{500};  // at nodes that have to let go

// Of a Secret's data; empty if it is not there or no base64.
std::string decoded(const Json& secret, const std::string& key) {
  const auto data = secret.find("data");
  if (data == secret.end() || !data->contains(key)) return {};
  auto bytes = from_base64(data->at(key).get<std::string>());
  return bytes ? std::move(*bytes) : std::string();
}

std::string new_peer_key() {
  std::array<std::uint8_t, 32> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) return {};
  return to_hex(bytes);
}

}  // namespace

render::References references_of(const render::ReferencedNames& names, const Cluster& cluster) {
  render::References references;
  for (const auto& name : names.secrets) {
    const auto secret = cluster.secrets().get({cluster.ns(), name});
    if (!secret) continue;
    auto& values = references.secrets[name];
    if (!secret->contains("data")) continue;
    for (const auto& item : secret->at("data").items()) values[item.key()] = decoded(*secret, item.key());
  }
  for (const auto& name : names.config_maps) {
    const auto config_map = cluster.config_maps().get({cluster.ns(), name});
    if (!config_map) continue;
    auto& values = references.config_maps[name];
    if (!config_map->contains("data")) continue;
    for (const auto& item : config_map->at("data").items()) values[item.key()] = item.value().get<std::string>();
  }
  return references;
}

GroupReconciler::GroupReconciler(const Parts& parts, State& state, Applier& applier, Leaving& leaving,
                                 std::function<void(const std::string&)> changed)
    : parts_(parts), state_(state), applier_(applier), leaving_(leaving), changed_(std::move(changed)) {}

Result<Outcome> GroupReconciler::reconcile(const std::string& name) {
  const auto desired = state_.desired();
  const auto* group = desired->group(name);
  return group == nullptr ? remove(*desired, name) : make(*desired, *group);
}

Result<Outcome> GroupReconciler::make(const Desired& desired, const plan::Group& group) {
  const auto& entry = *desired.policy(group.policy);
  if (!entry.guarded) return Outcome{};  // its finalizer comes first, and leads back here
  GroupResult result;
  if (const auto before = state_.group(group.name)) {
    result.config_hash = before->config_hash;
    result.node_hash = before->node_hash;
    result.kept_in_fallback = before->kept_in_fallback;
  }
  auto written = write(group, entry, result);
  if (!written) result.error = written.error();
  if (state_.set_group(group.name, result)) changed_(group.policy);
  if (!written) return fail(written.error());
  return Outcome{.changed = std::move(*written)};
}

Result<std::string> GroupReconciler::write(const plan::Group& group, const PolicyEntry& entry, GroupResult& result) {
  const auto key = peer_key(group.name);
  if (key.empty()) return fail(ErrorCode::kInternal, "no random bytes for the peers' key of group {}", group.name);
  auto objects = render::group_objects(group, {group.policy, entry.uid}, parts_.installation,
                                       references_of(entry.accepted->references, parts_.cluster), key);
  if (!objects) return fail(objects.error());
  result.missing = std::move(objects->missing);
  const auto& cluster = parts_.cluster;
  std::string changed;
  for (const auto& [resource, object, cache] : {std::tuple(&kube::kSecrets, &objects->secret, &cluster.secrets()),
                                                std::tuple(&kube::kServices, &objects->service, &cluster.services()),
                                                std::tuple(&kube::kDaemonSets, &objects->daemon_set, &cluster.daemon_sets())}) {
    const auto name = kube::key_of(*object);
    const auto written = applier_.apply(*resource, *object, cache->get(name));
    if (!written) return fail(written.error());
    if (*written) add_word(changed, fmt::format("{}/{}", resource->kind, name.name));
    if (resource == &kube::kSecrets) result.config_hash = objects->config_hash;
  }
  const auto told = parts_.installation.node_program ? write_node_config(group, entry, result) : remove_node_config(group);
  if (!told) return told;
  add_word(changed, *told);
  return changed;
}

// Without the program nobody follows it, and one that only restores must not find it.
Result<std::string> GroupReconciler::remove_node_config(const plan::Group& group) {
  const auto live = parts_.cluster.config_maps().get({parts_.cluster.ns(), std::string(node::kConfigMapPrefix) + group.name});
  if (!live) return std::string();
  const auto removed = applier_.remove(kube::kConfigMaps, live);
  if (!removed) return fail(removed.error());
  return *removed ? fmt::format("-ConfigMap/{}", kube::metadata(*live, "name")) : std::string();
}

// The last of all: agents hear of a registry before the runtimes ask them for it.
Result<std::string> GroupReconciler::write_node_config(const plan::Group& group, const PolicyEntry& entry, GroupResult& result) {
  auto always_fallback = state_.always_fallback();
  for (const auto& image : {parts_.installation.image, group.effective.settings.agent.image}) {
    if (!image.empty()) always_fallback.insert(render::registry_of_image(image));
  }
  const auto config = render::node_config(group, always_fallback, parts_.installation.configure_containerd);
  const auto object = render::node_config_map(config, {group.policy, entry.uid}, parts_.installation);
  const auto name = kube::key_of(object);
  const auto written = applier_.apply(kube::kConfigMaps, object, parts_.cluster.config_maps().get(name));
  if (!written) return fail(written.error());
  result.node_hash = config.hash;
  result.kept_in_fallback = render::kept_in_fallback(group, always_fallback);
  return *written ? fmt::format("ConfigMap/{}", name.name) : std::string();
}

Result<Outcome> GroupReconciler::remove(const Desired& desired, const std::string& name) {
  // The agents of nodes that still ask them stay.
  if (!leaving_.waiting(name).empty()) return Outcome{.again = kLeavingPause};
  Outcome outcome;
  bool left = false;
  for (const auto& [resource, cache] : parts_.cluster.owned()) {
    for (const auto& object : cache.with_label(kByGroup, name)) {
      // What is a deleted policy's goes with it, in its order.
      const auto policy = kube::label(*object, kByPolicy);
      const auto* entry = desired.policy(policy);
      if (keeps_what_it_has(desired, policy) || (entry != nullptr && entry->deleting)) {
        left = true;
        continue;
      }
      const auto removed = applier_.remove(resource, object);
      if (!removed) return fail(removed.error());
      if (*removed) add_word(outcome.changed, fmt::format("-{}/{}", resource.kind, kube::metadata(*object, "name")));
    }
  }
  if (left) return outcome;
  state_.forget_group(name);
  const std::lock_guard lock(mutex_);
  peer_keys_.erase(name);
  return outcome;
}

std::string GroupReconciler::peer_key(const std::string& group) {
  const std::lock_guard lock(mutex_);
  auto& key = peer_keys_[group];
  if (!key.empty()) return key;
  for (const auto& secret : parts_.cluster.secrets().with_label(kByGroup, group)) {
    key = decoded(*secret, kPeerKey);
    if (key.size() >= kShortestPeerKey) return key;
  }
  key = new_peer_key();
  return key;
}

}  // namespace cistern::reconcile
