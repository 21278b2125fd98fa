// Signed notes, the form in which a checksum database signs its tree heads (format: golang.org/x/mod/sumdb/note).
//
//   text, one or more lines
//                                    ← a blank line
//   — name base64(key hash, signature)
//   — …                              ← further signatures; those of unknown keys are ignored
//
// Pure functions and values: any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace cistern::verify {

// Who may sign: "name+hash+base64(algorithm, key)", as GOSUMDB has it. The only algorithm is 1, Ed25519; the hash is the first
// four bytes of SHA-256(name, newline, algorithm, key) in hex, and is checked.
class VerifierKey {
 public:
  // kInvalid, saying what is wrong with it.
  static Result<VerifierKey> parse(std::string_view text);

  const std::string& name() const { return name_; }
  std::uint32_t hash() const { return hash_; }
  bool verifies(std::string_view message, std::string_view signature) const;

 private:
  std::string name_;
  std::uint32_t hash_ = 0;
  std::array<unsigned char, 32> key_{};
};

// The text of a note (with its last newline) that `key` has signed. kCorrupt when the note is malformed, larger than 1 MB, has
// more than 100 signatures, has none by `key`, or has one by `key` that is wrong.
Result<std::string> open_note(std::string_view message, const VerifierKey& key);

}  // namespace cistern::verify
