#include "operator/reconcile/node_lease.hpp"

#include <algorithm>
#include <charconv>
#include <ctime>

#include "operator/node/config.hpp"

namespace cistern::reconcile {
namespace {

unsigned number_in(const std::string& text) {
  unsigned number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::vector<std::string> words_in(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const auto end = std::min(text.find(','), text.size());
    if (end > 0) words.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

std::string node_of(const kube::Json& lease) {
  const auto prefix = node::lease_name("");
  const auto name = kube::metadata(lease, "name");
  return name.starts_with(prefix) ? name.substr(prefix.size()) : std::string();
}

}  // namespace

NodeLease node_lease(const kube::Json& lease) {
  const auto said = [&](const char* what) { return kube::annotation(lease, std::string("cistern.dev/") + what); };
  NodeLease read;
  read.node = node_of(lease);
  read.group = said("group");
  read.config_hash = said("config-hash");
  read.applied_hash = said("applied-hash");
  read.granted = kube::annotation(lease, node::kGrantedAnnotation);
  read.state = said("state");
  read.message = said("message");
  read.drift = number_in(said("drift"));
  read.failures = number_in(said("failures"));
  read.kept_in_fallback = words_in(said("kept-in-fallback"));
  return read;
}

std::optional<WallTime> renewed_at(const kube::Json& lease) {
  const auto spec = lease.find("spec");
  if (spec == lease.end() || !spec->is_object()) return std::nullopt;
  const auto time = spec->find("renewTime");
  if (time == spec->end() || !time->is_string()) return std::nullopt;
  std::tm parts{};
  const auto text = time->get<std::string>();
  if (::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts) == nullptr) return std::nullopt;  // fractions do not matter
  return WallTime(std::chrono::seconds(::timegm(&parts)));
}

void Heartbeats::take(kube::Json& lease) {
  const auto spec = lease.find("spec");
  if (spec == lease.end() || !spec->is_object() || !spec->contains("renewTime")) return;
  const auto renewed = renewed_at(lease);
  const kube::Json time = std::move((*spec)["renewTime"]);
  spec->erase("renewTime");
  const auto node = node_of(lease);
  if (node.empty() || !time.is_string()) return;
  const auto text = time.get<std::string>();
  const auto now = clock_.steady();
  const std::lock_guard lock(mutex_);
  auto [heard, fresh] = heard_.try_emplace(node);
  if (heard->second.renewed == text) return;
  const bool first = heard->second.renewed.empty();
  heard->second.renewed = text;
  heard->second.at = now;
  if (!first || !renewed) return;
  heard->second.at -= std::max(std::chrono::duration_cast<SteadyTime::duration>(clock_.wall() - *renewed), SteadyTime::duration(0));
}

void Heartbeats::forget(const std::string& node) {
  const std::lock_guard lock(mutex_);
  heard_.erase(node);
}

SteadyTime Heartbeats::last(const std::string& node) {
  const auto now = clock_.steady();
  const std::lock_guard lock(mutex_);
  return heard_.try_emplace(node, Heard{"", now}).first->second.at;
}

}  // namespace cistern::reconcile
