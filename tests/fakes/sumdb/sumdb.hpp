// A Go checksum database in memory (go.dev/ref/mod#checksum-database), for tests. Thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.hpp"

namespace cistern::fakes {

class SumDb {
 public:
  // The key pair is made from the name and `seed`, so that two databases of one name and seed sign alike: a fork of each other.
  explicit SumDb(std::string name = "sum.test", std::string_view seed = "");

  const std::string& name() const { return name_; }
  // "name+hash+key", as GOSUMDB and a policy's sumDB.key have it.
  const std::string& verifier_key() const { return verifier_key_; }

  // Publishes a record: "h1:…" of the zip and of the go.mod. The module is looked up by its unescaped name and version. Gives the record's
  // number.
  std::uint64_t add(const std::string& module, const std::string& version, const std::string& zip_h1, const std::string& mod_h1);
  // The same with any text.
  std::uint64_t add_text(const std::string& module, const std::string& version, const std::string& text);
  // Publishes records of modules that nobody looks up.
  void add_filler(std::uint64_t count);
  std::uint64_t size() const;

  // From now on look-ups, or "/latest", carry the head of the first `records` records (or of the one asked for, if that is later); 0: the
  // newest.
  void pin_lookup_head(std::uint64_t records);
  void pin_latest_head(std::uint64_t records);
  // Narrow tiles are 404 where the complete one is there.
  void drop_narrow_tiles(bool drop);

  // The signed head over the first `records` records.
  std::string head(std::uint64_t records) const;
  std::string sign(std::string_view text) const;

  // The body for a path below the database's root: "/latest", "/lookup/<module>@<version>" with escapes (!x), "/tile/8/…"; and
  // "/supported", which only proxies answer. Nothing: 404.
  std::optional<std::string> serve(std::string_view path) const;

 private:
  std::string tile(std::string_view path) const;
  std::string lookup(const std::string& module_at_version) const;
  std::string head_locked(std::uint64_t records) const;
  Digest root(std::uint64_t first, std::uint64_t count) const;

  const std::string name_;
  std::array<unsigned char, 32> private_key_;
  std::string key_id_;  // four bytes
  std::string verifier_key_;

  mutable std::mutex mutex_;
  std::vector<std::string> texts_;
  std::vector<std::vector<Digest>> levels_;       // levels_[l][i]: the perfect subtree {l, i}
  std::map<std::string, std::uint64_t> numbers_;  // "module@version", escaped
  std::uint64_t lookup_head_ = 0;
  std::uint64_t latest_head_ = 0;
  bool drop_narrow_ = false;
};

}  // namespace cistern::fakes
