#include "cache-agent/route/go_check.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include "cache-agent/cache/verdict.hpp"
#include "cache-agent/verify/module_zip.hpp"

namespace cistern::route {
namespace {

// Unpacking takes a second for 100 MB; a bomb is stopped by its size long before this.
constexpr auto kLongest = std::chrono::minutes(5);

Result<std::string> bytes_of(const Slice& body) {
  if (const auto* memory = std::get_if<MemorySlice>(&body)) return std::string(memory->bytes);
  const auto& file = std::get<FileSlice>(body);
  std::string bytes(file.length, '\0');
  const auto got = ::pread(file.file->descriptor(), bytes.data(), bytes.size(), static_cast<off_t>(file.offset));
  if (got != static_cast<ssize_t>(bytes.size())) return fail(system_error(errno, "reading what was received"));
  return bytes;
}

// A small archive has no file yet; the reader of archives wants one.
Result<std::shared_ptr<const File>> file_of(const Slice& body) {
  if (const auto* slice = std::get_if<FileSlice>(&body)) return slice->file;
  const auto& bytes = std::get<MemorySlice>(body).bytes;
  auto file = std::make_shared<const File>(::memfd_create("module.zip", MFD_CLOEXEC));
  if (file->descriptor() < 0 || ::pwrite(file->descriptor(), bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    return fail(system_error(errno, "a file in memory for an archive"));
  }
  return file;
}

}  // namespace

ModuleCheck::ModuleCheck(std::shared_ptr<ChecksumDb> checksums, const Clock& clock, std::string module, std::string version, bool go_mod)
    : checksums_(std::move(checksums)), clock_(clock), module_(std::move(module)), version_(std::move(version)), go_mod_(go_mod) {}

Awaitable<Result<void>> ModuleCheck::prepare() {
  auto expected = co_await checksums_->db->hash_of(module_, version_, go_mod_);
  if (expected) {
    expected_ = std::move(*expected);
    co_return Result<void>{};
  }
  const auto& error = expected.error();
  if (cache::is_absent(error)) {
    co_return fail(ErrorCode::kForbidden,
                   "{}@{}: the checksum database {} does not know it, so it can not be verified ({}); if it is meant to be private, add it "
                   "to go.private "
                   "or go.sumDB.exempt of the policy",
                   module_, version_, checksums_->db->name(), error.message);
  }
  co_return fail(error.in(fmt::format("{}@{}: verifying against {}", module_, version_, checksums_->db->name())));
}

Result<std::string> ModuleCheck::hash(const Slice& body) const {
  if (go_mod_) {
    const auto bytes = bytes_of(body);
    if (!bytes) return fail(bytes.error());
    return verify::hash_go_mod(*bytes);
  }
  const auto file = file_of(body);
  if (!file) return fail(file.error());
  return verify::hash_module_zip((*file)->descriptor(), module_, version_, verify::ZipLimits{},
                                 verify::Interrupt{{}, clock_, Deadline::after(clock_, kLongest)});
}

Result<void> ModuleCheck::check(const Slice& body) {
  const auto actual = hash(body);
  if (!actual) return fail(actual.error().in(fmt::format("{}@{}", module_, version_)));
  if (*actual == expected_) return {};
  return fail(ErrorCode::kCorrupt, "{}@{}: checksum mismatch: the upstream sent {}, the checksum database {} says {}; nothing was stored",
              module_, version_, *actual, checksums_->db->name(), expected_);
}

}  // namespace cistern::route
