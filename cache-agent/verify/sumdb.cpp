#include "cache-agent/verify/sumdb.hpp"

#include <algorithm>
#include <spdlog/spdlog.h>

#include "base/encoding.hpp"
#include "cache-agent/verify/sumdb_record.hpp"

namespace cistern::verify {
namespace {

std::string base64(const Hash& hash) { return to_base64({reinterpret_cast<const char*>(hash.bytes.data()), hash.bytes.size()}); }

// What a person needs to prove to others that the database lied: both signed heads, and the root that the newer one implies.
Failure fork(std::string_view older_note, std::uint64_t older_size, std::string_view newer_note, const Hash& implied) {
  const auto indented = [](std::string_view note) {
    std::string text;
    for (const char c : note) text += c == '\n' ? "\n\t" : std::string(1, c);
    return text;
  };
  return fail(ErrorCode::kCorrupt,
              "SECURITY ERROR\ngo.sum database server misbehavior detected!\n\nold database:\n\t{}\nnew database:\n\t{}\n"
              "proof of misbehavior:\n\tthe new database had the root {} at {} records",
              indented(older_note), indented(newer_note), base64(implied), older_size);
}

}  // namespace

Result<std::unique_ptr<SumDb>> SumDb::create(const Settings& settings, SumDbSource& source, const Clock& clock) {
  auto key = VerifierKey::parse(settings.key);
  if (!key) return fail(std::move(key.error()));
  std::unique_ptr<SumDb> database(new SumDb(std::move(*key), settings, source, clock));
  if (!settings.head.empty()) {
    auto head = database->open_head(settings.head);
    if (!head) return fail(database->named(head.error().in("the head that was kept")));
    database->head_ = std::move(*head);
  }
  return database;
}

SumDb::SumDb(VerifierKey key, const Settings& settings, SumDbSource& source, const Clock& clock)
    : key_(std::move(key)), latest_ttl_(settings.latest_ttl), source_(source), clock_(clock), memory_(settings.memory) {}

Error SumDb::named(const Error& error) const { return error.in("checksum database " + key_.name()); }

SumDb::Head SumDb::newest() const {
  const std::lock_guard lock(mutex_);
  return head_;
}

bool SumDb::advance(const Tree& from, const Head& to) {
  const std::lock_guard lock(mutex_);
  if (head_.tree != from) return false;
  head_ = to;
  source_.keep_head(to.note);
  return true;
}

Result<SumDb::Head> SumDb::open_head(const std::string& note) const {
  const auto text = open_note(note, key_);
  if (!text) return fail(text.error());
  const auto tree = parse_tree(*text);
  if (!tree) return fail(tree.error());
  return Head{*tree, note};
}

// Meanwhile others may move the head: then it is compared with the new one, until it fits in or is itself the newest.
Awaitable<Result<void>> SumDb::merge(Head head) {
  for (;;) {
    const Head known = newest();
    if (known.tree == head.tree && !known.note.empty()) co_return Result<void>();
    if (head.tree.size < known.tree.size) co_return co_await check_consistency(head, known);
    const auto consistent = co_await check_consistency(known, head);
    if (!consistent) co_return consistent;
    if (advance(known.tree, head)) co_return Result<void>();
  }
}

// With an `older` head of no records this reads and keeps just the frontier of the newer one.
Awaitable<Result<void>> SumDb::check_consistency(Head older, Head newer) {
  Hash implied = newer.tree.root;
  ProvenNodes proven;
  if (older.tree.size < newer.tree.size) {
    auto nodes = co_await read_nodes(newer.tree, subtrees(older.tree.size));
    if (!nodes) {
      co_return fail(nodes.error().in(fmt::format("comparing the log at {} records with {}", older.tree.size, newer.tree.size)));
    }
    proven = std::move(*nodes);
    implied = root_of_subtrees(proven.hashes);
  }
  if (implied != older.tree.root) {
    auto failure = fork(older.note, older.tree.size, newer.note, implied);
    spdlog::error("checksum database {}: {}", key_.name(), failure.value().message);
    co_return failure;
  }
  keep_tiles(proven);
  co_return Result<void>();
}

Awaitable<Result<void>> SumDb::check_inclusion(std::uint64_t id, std::string text) {
  const Tree tree = newest().tree;
  std::vector<Node> leaf(1, Node{0, id});
  const auto proven = co_await read_nodes(tree, std::move(leaf));
  if (!proven) co_return fail(proven.error().in(fmt::format("proving record {}", id)));
  if (proven->hashes.front() != leaf_hash(text)) co_return fail(ErrorCode::kCorrupt, "the log has another record {} than the look-up", id);
  keep_tiles(*proven);
  co_return Result<void>();
}

// The record out of a look-up's body. One that was kept was proven then, and the log it was in is part of today's; only if our own head is
// older (its file was lost) is the body taken as from anyone.
Awaitable<Result<std::string>> SumDb::verified_record(std::string module, std::string version, std::string body, bool was_kept) {
  auto lookup = parse_lookup(body);
  if (!lookup) co_return fail(std::move(lookup.error()));
  if (const auto zip = hash_in_record(lookup->text, module, version, false); !zip) co_return fail(zip.error());
  auto head = open_head(lookup->head);
  if (!head) co_return fail(std::move(head.error()));
  if (!was_kept || head->tree.size > newest().tree.size) {
    const auto merged = co_await merge(std::move(*head));
    if (!merged) co_return fail(merged.error());
    const auto included = co_await check_inclusion(lookup->id, lookup->text);
    if (!included) co_return fail(included.error());
  }
  co_return format_record(lookup->id, lookup->text);
}

Awaitable<Result<std::string>> SumDb::read_record(std::string path, std::string module, std::string version) {
  if (const auto kept = co_await source_.kept(path)) {
    auto record = co_await verified_record(module, version, *kept, true);
    if (record) {
      memory_.keep_record(path, *record);
      co_return record;
    }
    spdlog::warn("checksum database {}: the kept answer to {} is not used: {}", key_.name(), path, record.error().message);
  }
  const auto body = co_await source_.fetch(path);
  if (!body) co_return fail(body.error());
  auto record = co_await verified_record(module, version, *body, false);
  if (!record) co_return record;
  source_.keep(path, *body);
  memory_.keep_record(path, *record);
  co_return record;
}

Awaitable<Result<std::string>> SumDb::record(std::string module, std::string version) {
  const auto path = lookup_path(module, version);
  if (!path) co_return fail(path.error());
  if (auto record = memory_.record(*path)) co_return std::move(*record);
  auto record = co_await records_.run(*path, read_record(*path, module, version));
  if (!record) co_return fail(named(record.error().in(fmt::format("{}@{}", module, version))));
  co_return record;
}

Awaitable<Result<std::string>> SumDb::hash_of(std::string module, std::string version, bool go_mod) {
  const auto verified = co_await record(module, version);
  if (!verified) co_return fail(verified.error());
  co_return hash_in_record(*verified, module, version, go_mod);
}

Awaitable<Result<std::string>> SumDb::lookup(std::string module, std::string version) {
  auto body = co_await record(std::move(module), std::move(version));
  if (body) *body += newest().note;
  co_return body;
}

Awaitable<Result<std::string>> SumDb::latest() {
  {
    const std::lock_guard lock(mutex_);
    const bool fresh = asked_latest_ && clock_.steady() - *asked_latest_ < latest_ttl_;
    if (fresh && !head_.note.empty()) co_return head_.note;
  }
  auto note = co_await fetches_.run("/latest", refresh());
  if (!note) co_return fail(named(note.error().in("/latest")));
  co_return note;
}

// Asks for the newest head. What is not a head signed by the database, or none at all, says nothing about the one that is known.
Awaitable<Result<std::string>> SumDb::refresh() {
  {
    const std::lock_guard lock(mutex_);
    asked_latest_ = clock_.steady();
  }
  const auto body = co_await source_.fetch("/latest");
  auto head = body ? open_head(*body) : fail(body.error());
  Result<void> merged;
  const bool is_head = head.has_value();
  if (is_head) {
    merged = co_await merge(std::move(*head));
  } else {
    merged = fail(std::move(head.error()));
  }
  Head known = newest();
  if (merged) co_return std::move(known.note);
  const bool misbehaved = is_head && merged.error().code == ErrorCode::kCorrupt;
  if (misbehaved || known.note.empty()) co_return fail(merged.error());
  spdlog::warn("checksum database {}: no newer head: {}", key_.name(), merged.error().message);
  co_return std::move(known.note);
}

}  // namespace cistern::verify
