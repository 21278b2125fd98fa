#include "tests/fakes/scripted_upstream/scripted_upstream.hpp"

#include <algorithm>

namespace cistern::fakes {

ScriptedUpstream::ScriptedUpstream(Tls tls)
    : certificate_(tls == Tls::kSelfSigned ? make_certificate("scripted upstream", "IP:127.0.0.1,DNS:localhost") : Certificate{}),
      server_([this](Wire& wire) { serve(wire); }, tls == Tls::kSelfSigned ? server_context(certificate_) : nullptr) {}

void ScriptedUpstream::on(const std::string& what, Reply reply) { on(what, std::vector<Reply>{std::move(reply)}); }

void ScriptedUpstream::on(const std::string& what, std::vector<Reply> replies) {
  Script script;
  for (auto& reply : replies) script.replies.push_back(std::make_shared<const Reply>(std::move(reply)));
  const std::lock_guard lock(mutex_);
  scripts_[what] = std::move(script);
}

void ScriptedUpstream::on_prefix(const std::string& prefix, Responder responder) {
  const std::lock_guard lock(mutex_);
  prefixes_.emplace_back(prefix, std::move(responder));
  std::stable_sort(prefixes_.begin(), prefixes_.end(), [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
}

void ScriptedUpstream::clear() {
  const std::lock_guard lock(mutex_);
  scripts_.clear();
  prefixes_.clear();
}

// With mutex_ held.
std::shared_ptr<const Reply> ScriptedUpstream::scripted(const Asked& asked) {
  const auto path = asked.path();
  for (const auto& what : {"HEAD " + asked.target, "HEAD " + path, asked.target, path}) {
    if (what.starts_with("HEAD ") && asked.method != "HEAD") continue;
    const auto found = scripts_.find(what);
    if (found == scripts_.end()) continue;
    auto& script = found->second;
    const auto index = std::min(script.next, script.replies.size() - 1);
    ++script.next;
    return script.replies[index];
  }
  return nullptr;
}

std::shared_ptr<const Reply> ScriptedUpstream::reply_to(const Asked& asked) {
  Responder responder;
  {
    const std::lock_guard lock(mutex_);
    asked_.push_back(asked);
    recorded_.notify_all();
    if (auto refused = challenge(asked)) return std::make_shared<const Reply>(std::move(*refused));
    if (auto reply = scripted(asked)) return reply;
    if (asked.path() == "/token") return std::make_shared<const Reply>(token(asked));
    for (const auto& [prefix, candidate] : prefixes_) {
      if (!asked.target.starts_with(prefix)) continue;
      responder = candidate;
      break;
    }
  }
  if (responder) return std::make_shared<const Reply>(responder(asked));
  return std::make_shared<const Reply>(Reply{.status = 404, .headers = {{"Content-Type", "text/plain"}}, .body = "not in the script\n"});
}

std::size_t ScriptedUpstream::count() const {
  const std::lock_guard lock(mutex_);
  return asked_.size();
}

std::size_t ScriptedUpstream::count(std::string_view method, std::string_view path) const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(
      std::count_if(asked_.begin(), asked_.end(), [&](const Asked& asked) { return asked.method == method && asked.path() == path; }));
}

std::vector<Asked> ScriptedUpstream::asked() const {
  const std::lock_guard lock(mutex_);
  return asked_;
}

std::vector<Asked> ScriptedUpstream::asked(std::string_view path) const {
  std::vector<Asked> found;
  for (auto& one : asked()) {
    if (one.path() == path) found.push_back(std::move(one));
  }
  return found;
}

void ScriptedUpstream::forget() {
  const std::lock_guard lock(mutex_);
  asked_.clear();
}

bool ScriptedUpstream::wait_for(std::string_view method, std::string_view path, std::size_t times, std::chrono::milliseconds limit) const {
  const auto until = std::chrono::steady_clock::now() + limit;
  while (count(method, path) < times) {
    std::unique_lock lock(mutex_);
    if (recorded_.wait_until(lock, std::min(until, std::chrono::steady_clock::now() + std::chrono::milliseconds(50))) ==
            std::cv_status::timeout &&
        std::chrono::steady_clock::now() >= until) {
      lock.unlock();
      return count(method, path) >= times;
    }
  }
  return true;
}

}  // namespace cistern::fakes
