// The files of ours on this node: written, looked after and put back. One thread at a time; one process on a node (a lock in the state
// folder).
//
// A change is one transaction, however many files it has:
//   1. originals that are in the way are copied into the backup folder, and the ledger says what is about to change;
//   2. every new file is written aside, in its own folder, and synced: what could fail for want of space or rights fails here;
//   3. one after the other, what is there gets a second name and the new file is renamed over it, folders synced;
//   4. the ledger says what is there now. That is the moment at which the change has happened;
//   5. second names, folders that became empty and backups that nobody needs go away.
// An error in 1 to 4 takes everything back by renames, which need no space. After a crash `open` does the same, so that the next start
// finds either all of the old or all of the new.
//
// A reader in the middle (containerd reads hosts.toml at each pull) finds for each registry the old file or the new one, each valid by
// itself and complete: registries do not depend on each other. Files are changed in the order given, so that strict ones, after which a
// registry has no other way, come last.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "operator/node/file_system.hpp"
#include "operator/node/ledger.hpp"

namespace cistern::node {

// In a file of anybody: we do not touch it.
inline constexpr std::string_view kUnmanagedMark = "# cistern: unmanaged";

struct DesiredFile {
  std::string path;  // on the host, links resolved
  std::string content;
  std::string fallback;  // as ManagedFile's
  bool once = false;
};

// Which of a strict file's two contents.
enum class Form { kFull, kFallback };

// A managed file that is not as we wrote it.
struct Drift {
  enum class Kind { kEdited, kMissing, kUnmanaged };
  std::string path;
  Kind kind = Kind::kEdited;
};

struct Change {
  std::vector<std::string> written;
  std::vector<std::string> restored;  // put back as before, which may be: removed
  std::vector<std::string> left;      // "PATH: why it was not touched"
  bool any() const { return !written.empty() || !restored.empty(); }
};

class Keeper {
 public:
  // Paths on the host are below `root`; `state` is on the host. Makes the state folder, locks it, reads the ledger and takes back what a
  // former process did not finish. kUnavailable if another process has it; kCorrupt if the ledger can not be read, with what to do.
  static Result<Keeper> open(FileSystem& files, const fs::path& root, const fs::path& state);
  // Whether there is anything to open: a node on which we never changed a file has no ledger.
  static bool exists(const fs::path& root, const fs::path& state);
  Keeper(Keeper&&) noexcept;
  Keeper& operator=(Keeper&&) = delete;
  ~Keeper();

  const Ledger& ledger() const { return ledger_; }
  bool holds_nothing() const { return ledger_.files.empty(); }

  // Makes the node's files exactly these: others of ours are put back as before. What is so already is not written. Unmanaged files, and
  // what is no file (a folder), are left. `config` and `place` (the ledger's) are remembered with them. An error has changed
  // nothing.
  Result<Change> apply(const std::vector<DesiredFile>& desired, Form form, const std::string& config, const std::string& place = {});
  // Everything as before. Files that others have replaced since (no mark of ours) stay as they are and are named.
  Result<Change> restore();
  // Strict files in their other form; for when nobody will look after the agent. The configuration is then no longer in force.
  Result<Change> fall_back();

  // What a reader of `path` would find without us, links followed: the file itself, or its original. Empty if there is none.
  std::optional<std::string> before(const fs::path& path) const;

  // Managed files that are not as they should be, in whichever of their forms was written last.
  std::vector<Drift> look();
  // Writes edited and missing ones again and counts them.
  Result<Change> repair();

  // The ledger's other memory.
  Result<void> remember_storage(const std::string& path, bool keep);
  Result<void> forget_storage(const std::string& path);

 private:
  struct Step;
  struct Lock;
  struct Transaction;
  Keeper(FileSystem& files, fs::path root, fs::path state, std::unique_ptr<Lock> lock);

  fs::path real(const std::string& path) const;
  fs::path backup_file(const std::string& name) const;
  Result<void> read_ledger();
  Result<void> save(const Ledger& ledger);
  Result<void> recover();
  // Both of what a former change may have left: what was not finished, and what lies about.
  Result<void> settle();
  Result<void> take_back(const std::string& path, const Pending::Step& step);
  void clean_up();

  Result<Change> carry_out(Transaction& transaction);
  Result<void> prepare(const Transaction& transaction, const Pending& pending);
  Result<void> switch_over(const Transaction& transaction);
  Result<void> plan_write(Transaction& transaction, const DesiredFile& file, Form form);
  Result<void> plan_restore(Transaction& transaction, const std::string& path);
  Result<Original> keep_original(Transaction& transaction, const std::string& path, const Entry& entry);

  FileSystem& files_;
  const fs::path root_;
  const fs::path state_;  // real path
  std::unique_ptr<Lock> lock_;
  Ledger ledger_;
};

}  // namespace cistern::node
