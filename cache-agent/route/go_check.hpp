// The Go checksum database as the cache's judge of one .mod or .zip.
#pragma once

#include <memory>
#include <string>

#include "base/clock.hpp"
#include "cache-agent/cache/plan.hpp"
#include "cache-agent/route/runtime.hpp"

namespace cistern::route {

// The look-up runs while the bytes arrive (prepare), the hash over what has arrived (check). A module that the database does not know is
// kForbidden, and the message names sumDB.exempt; a database that can not be asked is kUpstream or kTimeout. Bytes that disagree are
// kCorrupt.
class ModuleCheck final : public cache::Check {
 public:
  ModuleCheck(std::shared_ptr<ChecksumDb> checksums, const Clock& clock, std::string module, std::string version, bool go_mod);
  Awaitable<Result<void>> prepare() override;
  Result<void> check(const Slice& body) override;

 private:
  Result<std::string> hash(const Slice& body) const;

  const std::shared_ptr<ChecksumDb> checksums_;
  const Clock& clock_;
  const std::string module_;
  const std::string version_;
  const bool go_mod_;
  std::string expected_;
};

}  // namespace cistern::route
