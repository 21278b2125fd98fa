// The "h1:" hashes of go.sum (golang.org/x/mod/sumdb/dirhash): SHA-256, in base64, over the sorted lines
// "<SHA-256 of a file in hex>  <name>\n".
#pragma once

#include <stop_token>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/units.hpp"

namespace cistern::verify {

struct ZipLimits {
  Bytes packed = mib(500);    // the archive; `go` takes no larger ones
  Bytes unpacked = gib(2);    // all files together: toolchains have several hundred MB
  Bytes directory = mib(32);  // held in memory, three times over
};

// When to give up: looked at every 256 KiB of unpacked bytes.
struct Interrupt {
  std::stop_token cancelled;
  const Clock& clock;
  Deadline deadline;
};

// The hash of the module zip in `file`, readable, whose position is left alone. Blocks: it reads and unpacks all of it, so it belongs on a
// pool of its own. Any thread.
//
// kCorrupt for an archive that two readers could understand differently (zip_directory.hpp), that has a name twice, a name outside of
// "<module>@<version>/" or one that is no clean relative path, a file whose contents disagree with the directory in size or checksum, or
// more bytes than the limits allow; kCancelled, kTimeout by the interrupt; kIo.
//
// Directories ("a/b/") count as empty files, as in Go. Names that differ in case only are let through: the hash covers them, and `go`
// refuses them.
Result<std::string> hash_module_zip(int file, std::string_view module, std::string_view version, const ZipLimits& limits,
                                    const Interrupt& interrupt);

// The hash of a go.mod file: a tree with that one file, named "go.mod".
std::string hash_go_mod(std::string_view bytes);

}  // namespace cistern::verify
