#include "operator/reconcile/state.hpp"

#include <algorithm>
#include <utility>

namespace cistern::reconcile {
namespace {

bool same(const std::optional<Error>& a, const std::optional<Error>& b) {
  return a.has_value() == b.has_value() && (!a || (a->code == b->code && a->message == b->message));
}

bool same(const GroupResult& a, const GroupResult& b) {
  return a.config_hash == b.config_hash && a.node_hash == b.node_hash && a.kept_in_fallback == b.kept_in_fallback &&
         same(a.error, b.error) &&
         std::ranges::equal(a.missing, b.missing, [](const auto& x, const auto& y) { return x.path == y.path && x.reason == y.reason; });
}

}  // namespace

bool is_refusal(const Error& error) { return error.code == ErrorCode::kInvalid || error.code == ErrorCode::kForbidden; }

std::shared_ptr<const Desired> State::desired() const {
  const std::lock_guard lock(mutex_);
  return desired_;
}

void State::set_desired(std::shared_ptr<const Desired> desired) {
  const std::lock_guard lock(mutex_);
  desired_.swap(desired);  // the old one goes without the lock
}

std::set<std::string> State::always_fallback() const {
  const std::lock_guard lock(mutex_);
  return always_fallback_;
}

bool State::set_always_fallback(std::set<std::string> registries) {
  const std::lock_guard lock(mutex_);
  if (registries == always_fallback_) return false;
  always_fallback_ = std::move(registries);
  return true;
}

bool State::set_group(const std::string& group, GroupResult result) {
  const std::lock_guard lock(mutex_);
  auto [known, fresh] = groups_.try_emplace(group);
  if (!fresh && same(known->second, result)) return false;
  known->second = std::move(result);
  return true;
}

std::optional<GroupResult> State::group(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = groups_.find(name);
  return found == groups_.end() ? std::nullopt : std::optional(found->second);
}

void State::forget_group(const std::string& name) {
  const std::lock_guard lock(mutex_);
  groups_.erase(name);
}

std::shared_ptr<const admission::Rules> State::rules() const {
  const std::lock_guard lock(mutex_);
  return rules_;
}

void State::set_rules(std::shared_ptr<const admission::Rules> rules) {
  const std::lock_guard lock(mutex_);
  rules_.swap(rules);
}

bool State::set_namespace_error(const std::string& ns, const std::optional<NamespaceError>& error) {
  const std::lock_guard lock(mutex_);
  if (!error) return namespace_errors_.erase(ns) != 0;
  const auto [known, fresh] = namespace_errors_.try_emplace(ns, *error);
  if (!fresh && known->second == *error) return false;
  known->second = *error;
  return true;
}

std::map<std::string, std::string> State::namespace_errors(const std::string& policy) const {
  const std::lock_guard lock(mutex_);
  std::map<std::string, std::string> errors;
  for (const auto& [ns, error] : namespace_errors_) {
    if (error.policy == policy) errors.emplace(ns, error.message);
  }
  return errors;
}

bool State::set_webhook_trouble(const std::string& trouble) {
  const std::lock_guard lock(mutex_);
  return std::exchange(webhook_trouble_, trouble) != trouble;
}

std::string State::webhook_trouble() const {
  const std::lock_guard lock(mutex_);
  return webhook_trouble_;
}

bool State::set_node_error(const std::string& node, const Error* error) {
  const std::lock_guard lock(mutex_);
  const auto known = node_errors_.find(node);
  if (error == nullptr) {
    if (known == node_errors_.end()) return false;
    node_errors_.erase(known);
    return true;
  }
  if (known != node_errors_.end() && known->second.message == error->message) return false;
  node_errors_.insert_or_assign(node, *error);
  return true;
}

std::optional<Error> State::node_error(const std::string& node) const {
  const std::lock_guard lock(mutex_);
  const auto found = node_errors_.find(node);
  return found == node_errors_.end() ? std::nullopt : std::optional(found->second);
}

bool keeps_what_it_has(const Desired& desired, const std::string& policy) {
  const auto* entry = desired.policy(policy);
  if (entry == nullptr || entry->deleting) return false;
  if (!entry->accepted) return true;
  const auto* outcome = desired.outcome(policy);
  return outcome != nullptr && !outcome->problems.empty();
}

}  // namespace cistern::reconcile
