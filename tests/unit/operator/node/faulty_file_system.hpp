// The machine's file system, of which one step fails, or at which the program ends, as `kill -9` would.
#pragma once

#include <functional>

#include "operator/node/file_system.hpp"

namespace cistern::node {

struct Killed {};

class FaultyFileSystem final : public FileSystem {
 public:
  enum class Fault { kNone, kKillBefore, kKillAfter, kKillHalfWritten, kNoSpace, kReadOnly, kDenied };

  // The fault is at the step with this number (from 0), and at all after it if `for_good`.
  void set(Fault fault, unsigned step, bool for_good = false) {
    fault_ = fault;
    at_ = step;
    for_good_ = for_good;
    steps_ = 0;
  }
  unsigned steps() const { return steps_; }  // since set()

  Result<std::optional<Entry>> look(const fs::path& path) override { return real_.look(path); }
  Result<std::string> read(const fs::path& path) override { return real_.read(path); }
  Result<void> write(const fs::path& path, const std::string& content, const Attributes& attributes) override {
    if (fault_ == Fault::kKillHalfWritten && steps_ == at_) {
      (void)real_.write(path, content.substr(0, content.size() / 2), attributes);
      throw Killed();
    }
    return step(path, [&] { return real_.write(path, content, attributes); });
  }
  Result<void> make_link(const fs::path& path, const std::string& target) override {
    return step(path, [&] { return real_.make_link(path, target); });
  }
  Result<void> name_again(const fs::path& path, const fs::path& name) override {
    return step(path, [&] { return real_.name_again(path, name); });
  }
  Result<void> rename(const fs::path& from, const fs::path& to) override {
    // Names take no space.
    return step(
        to, [&] { return real_.rename(from, to); }, false);
  }
  Result<void> remove(const fs::path& path) override {
    return step(
        path, [&] { return real_.remove(path); }, false);
  }
  Result<void> make_folder(const fs::path& path) override {
    return step(path, [&] { return real_.make_folder(path); });
  }
  Result<void> remove_folder(const fs::path& path) override {
    return step(
        path, [&] { return real_.remove_folder(path); }, false);
  }
  Result<void> sync_folder(const fs::path& path) override {
    return step(
        path, [&] { return real_.sync_folder(path); }, false);
  }

 private:
  Result<void> step(const fs::path& path, const std::function<Result<void>()>& action, bool needs_space = true) {
    const bool now = for_good_ ? steps_ >= at_ : steps_ == at_;
    ++steps_;
    if (!now || fault_ == Fault::kNone || (fault_ == Fault::kNoSpace && !needs_space)) return action();
    switch (fault_) {
      case Fault::kNoSpace: return fail(system_error(ENOSPC, "write " + path.string()));
      case Fault::kReadOnly: return fail(system_error(EROFS, "write " + path.string()));
      case Fault::kDenied: return fail(system_error(EACCES, "write " + path.string()));
      case Fault::kKillAfter: (void)action(); throw Killed();
      case Fault::kKillBefore: throw Killed();
      default: return action();
    }
  }

  RealFileSystem real_;
  Fault fault_ = Fault::kNone;
  unsigned at_ = 0;
  bool for_good_ = false;
  unsigned steps_ = 0;
};

}  // namespace cistern::node
