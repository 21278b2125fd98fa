#include "tests/unit/verify/scripted_source.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

namespace cistern::verify {

Result<std::string> ScriptedSource::answer(const std::string& path) {
  const std::lock_guard lock(mutex_);
  ++fetches_[path];
  if (down_) return fail(ErrorCode::kUpstream, "connection refused");
  Result<std::string> answer = fail(ErrorCode::kNotFound, "no {}", path);
  if (auto body = database_ ? database_->serve(path) : std::nullopt) answer = std::move(*body);
  if (const auto change = changes_.find(path); change != changes_.end()) answer = change->second(std::move(answer));
  return answer;
}

// Takes two turns of the event loop, so that others get between.
Awaitable<Result<std::string>> ScriptedSource::fetch(std::string path) {
  auto result = answer(path);
  const auto executor = co_await asio::this_coro::executor;
  co_await asio::post(executor, asio::use_awaitable);
  co_await asio::post(executor, asio::use_awaitable);
  co_return result;
}

Awaitable<std::optional<std::string>> ScriptedSource::kept(std::string path) {
  const std::lock_guard lock(mutex_);
  const auto found = kept_.find(path);
  if (found == kept_.end()) co_return std::nullopt;
  co_return found->second;
}

void ScriptedSource::keep(std::string path, std::string body) {
  const std::lock_guard lock(mutex_);
  kept_[path] = std::move(body);
}

void ScriptedSource::keep_head(std::string note) {
  const std::lock_guard lock(mutex_);
  heads_.push_back(std::move(note));
}

void ScriptedSource::replace(const std::string& path, const std::string& body) {
  change(path, [body](const Result<std::string>&) -> Result<std::string> { return body; });
}

int ScriptedSource::fetches(const std::string& path) {
  const std::lock_guard lock(mutex_);
  return fetches_[path];
}

int ScriptedSource::fetches() {
  const std::lock_guard lock(mutex_);
  int sum = 0;
  for (const auto& [path, count] : fetches_) sum += count;
  return sum;
}

World::World(std::uint64_t fillers) {
  database.add_filler(fillers);
  restart();
}

void World::restart() {
  SumDb::Settings settings;
  settings.key = database.verifier_key();
  if (!source.heads().empty()) settings.head = source.heads().back();
  client = SumDb::create(settings, source, clock).value();
}

std::uint64_t World::add(const std::string& module, const std::string& version) {
  return database.add(module, version, "h1:zip-of-" + module, "h1:mod-of-" + module);
}

Result<std::string> World::hash(const std::string& module, const std::string& version, bool go_mod) {
  return run(client->hash_of(module, version, go_mod));
}
Result<std::string> World::lookup(const std::string& module, const std::string& version) { return run(client->lookup(module, version)); }
Result<std::string> World::tile(const std::string& path) { return run(client->tile(path)); }
Result<std::string> World::latest() { return run(client->latest()); }

// Modules in these tests have no upper case when they come through here: there is nothing to unescape.
Awaitable<Result<std::string>> ProxiedSource::fetch(std::string path) {
  if (path == "/latest") co_return co_await proxy_.latest();
  if (path.starts_with("/tile/")) co_return co_await proxy_.tile(path);
  const std::size_t at = path.find('@');
  const std::string module = path.substr(8, at - 8);
  const std::string version = path.substr(at + 1);
  co_return co_await proxy_.lookup(module, version);
}

Awaitable<std::optional<std::string>> ProxiedSource::kept(std::string) { co_return std::nullopt; }

}  // namespace cistern::verify
