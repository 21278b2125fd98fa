// Keeper: what changes files.
#include <unistd.h>

#include <algorithm>

#include "base/digest.hpp"
#include "operator/node/keeper_steps.hpp"

namespace cistern::node {
namespace {

std::string without_slashes(std::string path) {
  std::ranges::replace(path, '/', '_');
  return path;
}

// Folders on the way to `path` that are not there, outermost first.
std::vector<std::string> missing_folders(const fs::path& root, const std::string& path) {
  std::vector<std::string> missing;
  for (fs::path at = fs::path(path).parent_path(); at != at.root_path(); at = at.parent_path()) {
    std::error_code error;
    if (fs::exists(fs::symlink_status(root / at.relative_path(), error))) break;
    missing.push_back(at.string());
  }
  std::ranges::reverse(missing);
  return missing;
}

}  // namespace

Result<Original> Keeper::keep_original(Transaction& transaction, const std::string& path, const Entry& entry) {
  Original original{entry.kind, entry.attributes, entry.target, "", ""};
  if (entry.kind == Kind::kLink) return original;
  auto content = files_.read(real(path));
  if (!content) return fail(content.error());
  original.digest = Sha256::of(*content).hex();
  // Named for people who have to find it by hand; the digest tells apart what differs only in its slashes.
  original.backup = fmt::format("{}-{}", without_slashes(path).substr(1, 150), Sha256::of(path).hex().substr(0, 8));
  transaction.backups.push_back(original.backup);
  transaction.next.backups.erase(original.backup);
  transaction.copies.push_back(std::move(*content));
  return original;
}

Result<void> Keeper::plan_write(Transaction& transaction, const DesiredFile& file, Form form) {
  const std::string& content = form == Form::kFull ? file.content : file.fallback;
  const auto entry = files_.look(real(file.path));
  if (!entry) return fail(entry.error());
  const auto known = ledger_.files.find(file.path);
  ManagedFile managed;
  if (known != ledger_.files.end()) managed = known->second;
  const bool is_new = known == ledger_.files.end();
  std::string now;
  if (*entry && (*entry)->kind == Kind::kFile) {
    const auto read = files_.read(real(file.path));
    if (!read) return fail(read.error());
    now = *read;
  }
  if (is_unmanaged(now)) {
    transaction.change.left.push_back(fmt::format("{}: it is marked \"{}\"", file.path, kUnmanagedMark));
    return {};
  }
  if (*entry && (*entry)->kind != Kind::kFile && (*entry)->kind != Kind::kLink) {
    transaction.change.left.push_back(fmt::format("{}: something that is no file is there", file.path));
    return {};
  }
  // A file with our mark that the ledger does not know is left over from a ledger that was lost: there is nothing to put back.
  if (is_new && *entry && (!is_ours(now) || file.once)) {
    auto original = keep_original(transaction, file.path, **entry);
    if (!original) return fail(original.error());
    managed.original = std::move(*original);
  }
  const bool same = *entry && (*entry)->kind == Kind::kFile && now == content;
  managed.content = content;
  managed.fallback = file.fallback;
  managed.once = file.once;
  for (auto& folder : missing_folders(root_, file.path)) {
    if (std::ranges::find(managed.folders, folder) == managed.folders.end()) managed.folders.push_back(folder);
    if (std::ranges::find(transaction.folders, folder) == transaction.folders.end()) transaction.folders.push_back(folder);
  }
  Attributes attributes;
  attributes.uid = ::geteuid();
  attributes.gid = ::getegid();
  if (file.once && managed.original) {
    attributes = managed.original->attributes;
    attributes.modified.reset();
  }
  if (!same) transaction.steps.push_back({file.path, Step::To::kFile, content, attributes, entry->has_value()});
  if (!same) transaction.change.written.push_back(file.path);
  transaction.next.files[file.path] = std::move(managed);
  return {};
}

Result<void> Keeper::plan_restore(Transaction& transaction, const std::string& path) {
  const ManagedFile& file = ledger_.files.at(path);
  const auto entry = files_.look(real(path));
  if (!entry) return fail(entry.error());
  std::string now;
  if (*entry && (*entry)->kind == Kind::kFile) {
    const auto read = files_.read(real(path));
    if (!read) return fail(read.error());
    now = *read;
  }
  transaction.next.files.erase(path);
  transaction.next.folders.insert(file.folders.begin(), file.folders.end());
  if (file.original && !file.original->backup.empty()) transaction.next.backups.insert(file.original->backup);
  const bool theirs = *entry && ((*entry)->kind != Kind::kFile || !is_ours(now) || is_unmanaged(now) || (file.once && now != file.content));
  if (theirs) {
    transaction.change.left.push_back(fmt::format("{}: it is not ours any more; as it is, it stays", path));
    return {};
  }
  if (file.once && !*entry) return {};
  Step step{path, Step::To::kNothing, "", {}, entry->has_value()};
  if (file.original && file.original->kind == Kind::kLink) {
    step.to = Step::To::kLink;
    step.content = file.original->target;
  } else if (file.original) {
    const auto content = files_.read(backup_file(file.original->backup));
    if (!content || Sha256::of(*content).hex() != file.original->digest) {
      return fail(ErrorCode::kCorrupt, "{}: its backup {} is not what was stored there ({}); put the file back by hand, or mark it \"{}\"",
                  path, backup_file(file.original->backup).string(), content ? "it was changed" : content.error().message, kUnmanagedMark);
    }
    step.to = Step::To::kFile;
    step.content = *content;
    step.attributes = file.original->attributes;
  }
  if (step.to == Step::To::kNothing && !step.existed) return {};
  if (step.to != Step::To::kNothing) {
    // The folder may have been removed by hand, with the file.
    for (auto& folder : missing_folders(root_, path)) {
      if (std::ranges::find(transaction.folders, folder) == transaction.folders.end()) transaction.folders.push_back(folder);
    }
  }
  transaction.steps.push_back(std::move(step));
  transaction.change.restored.push_back(path);
  return {};
}

// Everything that needs space or rights.
Result<void> Keeper::prepare(const Transaction& transaction, const Pending& pending) {
  for (std::size_t i = 0; i < transaction.backups.size(); ++i) {
    const auto file = backup_file(transaction.backups[i]);
    if (const auto stale = files_.look(file); stale && *stale) {
      if (auto removed = files_.remove(file); !removed) return removed;
    }
    if (auto written = files_.write(file, transaction.copies[i], {0600, ::geteuid(), ::getegid(), {}, {}}); !written) return written;
  }
  if (!transaction.backups.empty()) {
    if (auto synced = files_.sync_folder(state_ / "backup"); !synced) return synced;
  }
  auto announced = ledger_;
  announced.pending = pending;
  if (auto saved = save(announced); !saved) return saved;
  ledger_ = std::move(announced);
  for (const auto& folder : transaction.folders) {
    if (auto made = files_.make_folder(real(folder)); !made) return made;
    if (auto synced = files_.sync_folder(real(folder).parent_path()); !synced) return synced;
  }
  for (const auto& step : transaction.steps) {
    const auto file = real(step.path);
    for (const auto& stale : {aside_of(file), before_of(file)}) {
      if (const auto there = files_.look(stale); !there || !*there) continue;
      if (auto removed = files_.remove(stale); !removed) return removed;
    }
    Result<void> made;
    if (step.to == Step::To::kFile) made = files_.write(aside_of(file), step.content, step.attributes);
    if (step.to == Step::To::kLink) made = files_.make_link(aside_of(file), step.content);
    if (!made) return made;
  }
  return {};
}

Result<void> Keeper::switch_over(const Transaction& transaction) {
  for (const auto& step : transaction.steps) {
    const auto file = real(step.path);
    if (step.existed) {
      if (auto kept = files_.name_again(file, before_of(file)); !kept) return kept;
    }
    auto done = step.to == Step::To::kNothing ? files_.remove(file) : files_.rename(aside_of(file), file);
    if (!done) return done;
    if (auto synced = files_.sync_folder(file.parent_path()); !synced) return synced;
  }
  return {};
}

Result<Change> Keeper::carry_out(Transaction& transaction) {
  if (transaction.steps.empty()) {
    if (to_text(transaction.next) == to_text(ledger_)) return std::move(transaction.change);
    if (auto saved = save(transaction.next); !saved) return fail(saved.error());
    ledger_ = std::move(transaction.next);
    clean_up();
    return std::move(transaction.change);
  }
  Pending pending{{}, transaction.folders, transaction.backups};
  for (const auto& step : transaction.steps) {
    pending.steps[step.path] = {step.existed, step.to == Step::To::kFile ? Sha256::of(step.content).hex() : ""};
    transaction.next.asides.insert(step.path);
  }
  auto done = prepare(transaction, pending);
  if (done) done = switch_over(transaction);
  if (done) done = save(transaction.next);
  if (!done) {
    // Also where the ledger that announces it could not be written: it may be there all the same.
    ledger_.pending = std::move(pending);
    if (auto back = recover(); !back) return fail(back.error().in(done.error().message));
    return fail(done.error());
  }
  ledger_ = std::move(transaction.next);
  clean_up();
  return std::move(transaction.change);
}

Result<Change> Keeper::apply(const std::vector<DesiredFile>& desired, Form form, const std::string& config, const std::string& place) {
  if (auto settled = settle(); !settled) return fail(settled.error());
  Transaction transaction;
  transaction.next = ledger_;
  transaction.next.config = config;
  transaction.next.place = place;
  for (const auto& [path, file] : ledger_.files) {
    const auto same = [&path = path](const DesiredFile& wanted) { return wanted.path == path; };
    if (std::ranges::any_of(desired, same)) continue;
    if (auto planned = plan_restore(transaction, path); !planned) return fail(planned.error());
  }
  for (const auto& file : desired) {
    if (auto planned = plan_write(transaction, file, form); !planned) return fail(planned.error());
  }
  return carry_out(transaction);
}

Result<Change> Keeper::restore() { return apply({}, Form::kFull, ""); }

Result<Change> Keeper::fall_back() {
  if (auto settled = settle(); !settled) return fail(settled.error());
  Transaction transaction;
  transaction.next = ledger_;
  for (const auto& [path, file] : ledger_.files) {
    if (file.content == file.fallback) continue;
    // What a person has made of it stays.
    const auto now = files_.read(real(path));
    if (!now || *now != file.content) continue;
    if (auto planned = plan_write(transaction, {path, file.content, file.fallback, false}, Form::kFallback); !planned) {
      return fail(planned.error());
    }
  }
  // So they are written in full again as soon as somebody looks after the agent.
  if (!transaction.steps.empty()) transaction.next.config.clear();
  return carry_out(transaction);
}

Result<Change> Keeper::repair() {
  if (auto settled = settle(); !settled) return fail(settled.error());
  Transaction transaction;
  transaction.next = ledger_;
  for (const auto& drift : look()) {
    if (drift.kind == Drift::Kind::kUnmanaged) continue;
    const auto& file = ledger_.files.at(drift.path);
    if (auto planned = plan_write(transaction, {drift.path, file.content, file.fallback, false}, Form::kFull); !planned) {
      return fail(planned.error());
    }
  }
  transaction.next.repairs += static_cast<unsigned>(transaction.change.written.size());
  return carry_out(transaction);
}

}  // namespace cistern::node
