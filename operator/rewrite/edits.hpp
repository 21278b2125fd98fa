// What is changed in a text, by place, so that all the rest of it stays byte for byte. Pure.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "operator/rewrite/reference.hpp"

namespace cistern::rewrite {

struct Edit {
  std::size_t at;    // in bytes
  std::size_t size;  // of what is there now
  std::string text;  // what comes in its place; no line break
};

struct Remark {
  int line;
  std::string text;
  bool operator==(const Remark&) const = default;
};

// Collects what becomes of the references in one text.
class Edits {
 public:
  Edits(std::string_view text, const Mirror& mirror, Direction direction) : text_(text), mirror_(mirror), direction_(direction) {}

  // The text at [at, at + size) is a reference. One that was seen already is not looked at again.
  void reference(std::size_t at, std::size_t size);
  // A reference whose place in the text can not be told.
  void unclear(std::size_t at, std::string_view reference, const std::string& why);
  void remark(std::size_t at, std::string text);

  // The text with all edits.
  std::string applied() const;
  // By line.
  std::vector<Remark> remarks() const;
  bool empty() const { return edits_.empty(); }

 private:
  std::string_view text_;
  const Mirror& mirror_;
  Direction direction_;
  std::vector<Edit> edits_;
  std::vector<Remark> remarks_;
  std::set<std::size_t> seen_;
};

// 1 for the first.
int line_of(std::string_view text, std::size_t at);

// In unified format; `after` has as many lines as `before`. Empty if they are the same.
std::string unified_diff(std::string_view before, std::string_view after, const std::string& name);

}  // namespace cistern::rewrite
