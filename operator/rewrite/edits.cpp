#include "operator/rewrite/edits.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace cistern::rewrite {
namespace {

constexpr std::size_t kContext = 3;

// Each with its line break, if it has one.
std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const auto size = std::min(text.find('\n'), text.size() - 1) + 1;
    lines.push_back(text.substr(0, size));
    text.remove_prefix(size);
  }
  return lines;
}

void append_line(std::string& out, char sign, std::string_view line) {
  out += sign;
  out += line;
  if (!line.ends_with('\n')) out += "\n\\ No newline at end of file\n";
}

}  // namespace

void Edits::reference(std::size_t at, std::size_t size) {
  if (!seen_.insert(at).second) return;
  const auto reference = text_.substr(at, size);
  const auto renaming = rename_reference(reference, mirror_, direction_);
  if (!renaming) {
    unclear(at, reference, renaming.error());
  } else if (*renaming) {
    edits_.push_back({at, (*renaming)->size, (*renaming)->name});
  }
}

void Edits::unclear(std::size_t at, std::string_view reference, const std::string& why) {
  remark(at, fmt::format("{}: {}; it is left as it is", reference, why));
}

void Edits::remark(std::size_t at, std::string text) {
  Remark remark{line_of(text_, at), std::move(text)};
  // Several aliases may lead to one place.
  if (std::ranges::find(remarks_, remark) == remarks_.end()) remarks_.push_back(std::move(remark));
}

std::string Edits::applied() const {
  auto edits = edits_;
  std::ranges::sort(edits, {}, &Edit::at);
  std::string result;
  std::size_t done = 0;
  for (const auto& edit : edits) {
    result.append(text_.substr(done, edit.at - done)).append(edit.text);
    done = edit.at + edit.size;
  }
  return result.append(text_.substr(done));
}

std::vector<Remark> Edits::remarks() const {
  auto remarks = remarks_;
  std::ranges::stable_sort(remarks, {}, &Remark::line);
  return remarks;
}

int line_of(std::string_view text, std::size_t at) {
  return 1 + static_cast<int>(std::ranges::count(text.substr(0, std::min(at, text.size())), '\n'));
}

std::string unified_diff(std::string_view before, std::string_view after, const std::string& name) {
  const auto old_lines = lines_of(before);
  const auto new_lines = lines_of(after);
  std::string out;
  const auto count = std::min(old_lines.size(), new_lines.size());
  for (std::size_t i = 0; i < count; ++i) {
    if (old_lines[i] == new_lines[i]) continue;
    if (out.empty()) out = fmt::format("--- a/{0}\n+++ b/{0}\n", name);
    // To the last change that is not further than twice the context from the one before it.
    const std::size_t begin = i - std::min(i, kContext);
    std::size_t last = i;
    for (std::size_t k = i + 1; k < count && k <= last + 2 * kContext + 1; ++k) {
      if (old_lines[k] != new_lines[k]) last = k;
    }
    const std::size_t end = std::min(count, last + 1 + kContext);
    out += fmt::format("@@ -{0},{1} +{0},{1} @@\n", begin + 1, end - begin);
    for (std::size_t k = begin; k < end;) {
      if (old_lines[k] == new_lines[k]) {
        append_line(out, ' ', old_lines[k++]);
        continue;
      }
      const std::size_t from = k;
      while (k < end && old_lines[k] != new_lines[k]) ++k;
      for (std::size_t at = from; at < k; ++at) append_line(out, '-', old_lines[at]);
      for (std::size_t at = from; at < k; ++at) append_line(out, '+', new_lines[at]);
    }
    i = end - 1;
  }
  return out;
}

}  // namespace cistern::rewrite
