#include "operator/node/keeper.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>

#include "base/digest.hpp"
#include "operator/node/keeper_steps.hpp"
#include "operator/render/runtime.hpp"

namespace cistern::node {

bool is_unmanaged(std::string_view content) {
  for (std::size_t at = content.find(kUnmanagedMark); at != std::string_view::npos; at = content.find(kUnmanagedMark, at + 1)) {
    if (at == 0 || content[at - 1] == '\n') return true;
  }
  return false;
}

bool is_ours(std::string_view content) { return content.starts_with(render::kMark); }

struct Keeper::Lock {
  explicit Lock(int number) : descriptor(number) {}
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  ~Lock() { ::close(descriptor); }
  int descriptor;
};

Keeper::Keeper(FileSystem& files, fs::path root, fs::path state, std::unique_ptr<Lock> lock)
    : files_(files), root_(std::move(root)), state_(std::move(state)), lock_(std::move(lock)) {}
Keeper::Keeper(Keeper&&) noexcept = default;
Keeper::~Keeper() = default;

fs::path Keeper::real(const std::string& path) const { return root_ / fs::path(path).relative_path(); }
fs::path Keeper::backup_file(const std::string& name) const { return state_ / "backup" / name; }

bool Keeper::exists(const fs::path& root, const fs::path& state) {
  std::error_code error;
  return fs::exists(root / state.relative_path() / "ledger.json", error);
}

Result<Keeper> Keeper::open(FileSystem& files, const fs::path& root, const fs::path& state) {
  const fs::path folder = root / state.relative_path();
  std::error_code error;
  fs::create_directories(folder / "backup", error);
  if (error) return fail(system_error(error.value(), "make the state folder " + folder.string()));
  // What is kept here of others may be meant for root alone.
  fs::permissions(folder, fs::perms::owner_all, error);
  const int lock = ::open((folder / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) return fail(system_error(errno, "write to the state folder " + folder.string()));
  auto owned = std::make_unique<Lock>(lock);
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    return fail(ErrorCode::kUnavailable,
                "{} is in use by another `cistern-operator node`; if that is the DaemonSet cistern-node, remove it from this node first",
                folder.string());
  }
  Keeper keeper(files, root, folder, std::move(owned));
  if (auto read = keeper.read_ledger(); !read) return fail(read.error());
  if (auto settled = keeper.settle(); !settled) return fail(settled.error());
  return keeper;
}

Result<void> Keeper::read_ledger() {
  const fs::path file = state_ / "ledger.json";
  const auto text = files_.read(file);
  if (!text && text.error().code == ErrorCode::kNotFound) return {};
  if (!text) return fail(text.error());
  auto ledger = parse_ledger(*text);
  if (!ledger) {
    return fail(ledger.error().in(fmt::format("{} can not be read; what was there before is in {}, and files of ours begin with \"{}\"",
                                              file.string(), (state_ / "backup").string(), render::kMark)));
  }
  ledger_ = std::move(*ledger);
  return {};
}

Result<void> Keeper::save(const Ledger& ledger) {
  const fs::path file = state_ / "ledger.json";
  const fs::path aside = state_ / "ledger.json.new";
  if (const auto stale = files_.look(aside); stale && *stale) {
    if (auto removed = files_.remove(aside); !removed) return removed;
  }
  if (auto written = files_.write(aside, to_text(ledger), {0600, ::geteuid(), ::getegid(), {}, {}}); !written) return written;
  if (auto renamed = files_.rename(aside, file); !renamed) return renamed;
  return files_.sync_folder(state_);
}

Result<void> Keeper::take_back(const std::string& path, const Pending::Step& step) {
  const fs::path file = real(path);
  const auto before = files_.look(before_of(file));
  const auto now = files_.look(file);
  if (!before) return fail(before.error());
  if (!now) return fail(now.error());
  if (*before) {
    if (*now && (*now)->inode == (*before)->inode) {
      if (auto removed = files_.remove(before_of(file)); !removed) return removed;
    } else if (auto renamed = files_.rename(before_of(file), file); !renamed) {
      return renamed;
    }
  } else if (!step.existed && *now && (*now)->kind == Kind::kFile && !step.digest.empty()) {
    const auto content = files_.read(file);
    if (!content) return fail(content.error());
    if (Sha256::of(*content).hex() == step.digest) {
      if (auto removed = files_.remove(file); !removed) return removed;
    }
  } else if (!step.existed && *now && (*now)->kind == Kind::kLink && step.digest.empty()) {
    if (auto removed = files_.remove(file); !removed) return removed;
  }
  if (const auto aside = files_.look(aside_of(file)); aside && *aside) {
    if (auto removed = files_.remove(aside_of(file)); !removed) return removed;
  }
  if (const auto folder = files_.look(file.parent_path()); !folder || !*folder) return {};
  return files_.sync_folder(file.parent_path());
}

Result<void> Keeper::recover() {
  if (!ledger_.pending) return {};
  for (const auto& [path, step] : ledger_.pending->steps) {
    if (auto back = take_back(path, step); !back) return fail(back.error().in("take back a change that was not finished"));
  }
  for (auto folder = ledger_.pending->folders.rbegin(); folder != ledger_.pending->folders.rend(); ++folder) {
    const auto removed = files_.remove_folder(real(*folder));
    // Others may have put something into it meanwhile: then it is theirs.
    if (!removed && removed.error().code != ErrorCode::kConflict && fs::exists(real(*folder))) return fail(removed.error());
  }
  auto next = ledger_;
  next.pending.reset();
  if (auto saved = save(next); !saved) return saved;
  for (const auto& backup : ledger_.pending->backups) {
    if (const auto file = files_.look(backup_file(backup)); file && *file) (void)files_.remove(backup_file(backup));
  }
  ledger_ = std::move(next);
  return {};
}

// What fails here is tried again at the next change or start; nothing depends on it.
void Keeper::clean_up() {
  auto next = ledger_;
  for (const auto& path : ledger_.asides) {
    bool gone = true;
    for (const auto& aside : {aside_of(real(path)), before_of(real(path))}) {
      const auto there = files_.look(aside);
      if (there && *there) gone = files_.remove(aside).has_value() && gone;
    }
    if (gone) next.asides.erase(path);
  }
  // A folder sorts before those in it. One in which something of ours still lies would be taken for one that others use.
  for (auto folder = ledger_.folders.rbegin(); next.asides.empty() && folder != ledger_.folders.rend(); ++folder) {
    const auto there = files_.look(real(*folder));
    if (!there) continue;
    if (*there) {
      const auto removed = files_.remove_folder(real(*folder));
      if (!removed && removed.error().code != ErrorCode::kConflict) continue;
      (void)files_.sync_folder(real(*folder).parent_path());
    }
    next.folders.erase(*folder);
  }
  for (const auto& backup : ledger_.backups) {
    const auto there = files_.look(backup_file(backup));
    if (!there || (*there && !files_.remove(backup_file(backup)))) continue;
    next.backups.erase(backup);
  }
  if (next.asides != ledger_.asides || next.folders != ledger_.folders || next.backups != ledger_.backups) {
    if (save(next)) ledger_ = std::move(next);
  }
}

Result<void> Keeper::settle() {
  if (auto recovered = recover(); !recovered) return recovered;
  clean_up();
  return {};
}

Result<void> Keeper::remember_storage(const std::string& path, bool keep) {
  const auto known = ledger_.storage.find(path);
  if (known != ledger_.storage.end() && known->second == keep) return {};
  auto next = ledger_;
  next.storage[path] = keep;
  if (auto saved = save(next); !saved) return saved;
  ledger_ = std::move(next);
  return {};
}

Result<void> Keeper::forget_storage(const std::string& path) {
  auto next = ledger_;
  if (next.storage.erase(path) == 0) return {};
  if (auto saved = save(next); !saved) return saved;
  ledger_ = std::move(next);
  return {};
}

std::optional<std::string> Keeper::before(const fs::path& path) const {
  fs::path at = path;
  for (int links = 0; links < 40; ++links) {
    const auto resolved = resolve(root_, at);
    if (!resolved) return std::nullopt;
    std::string target;
    if (const auto known = ledger_.files.find(*resolved); known != ledger_.files.end()) {
      const auto& original = known->second.original;
      if (!original) return std::nullopt;
      if (original->kind == Kind::kFile) {
        const auto content = files_.read(backup_file(original->backup));
        return content ? std::optional(*content) : std::nullopt;
      }
      target = original->target;
    } else {
      const auto entry = files_.look(real(*resolved));
      if (!entry || !*entry) return std::nullopt;
      if ((*entry)->kind != Kind::kLink) {
        const auto content = files_.read(real(*resolved));
        // Ours, and the ledger that knew it is lost: nothing is known of before.
        return content && !is_ours(*content) ? std::optional(*content) : std::nullopt;
      }
      target = (*entry)->target;
    }
    at = target.starts_with('/') ? fs::path(target) : resolved->parent_path() / target;
  }
  return std::nullopt;
}

std::vector<Drift> Keeper::look() {
  std::vector<Drift> found;
  for (const auto& [path, file] : ledger_.files) {
    if (file.once) continue;
    const auto entry = files_.look(real(path));
    if (!entry) continue;  // it can not be told now
    if (!*entry) {
      found.push_back({path, Drift::Kind::kMissing});
      continue;
    }
    const auto content = (*entry)->kind == Kind::kFile ? files_.read(real(path)) : Result<std::string>("");
    if (!content) continue;
    if (is_unmanaged(*content)) {
      found.push_back({path, Drift::Kind::kUnmanaged});
    } else if (*content != file.content) {
      found.push_back({path, Drift::Kind::kEdited});
    }
  }
  return found;
}

}  // namespace cistern::node
