#include "yaml/problems.hpp"

#include <algorithm>
#include <charconv>
#include <numeric>

namespace cistern::yaml {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

// Levenshtein, without regard to case.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (lower(a[i]) == lower(b[j]) ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

// Cuts the first step (a key or an index) from a path as join_path writes it.
std::string take_step(std::string_view& path, bool& index) {
  index = false;
  if (path.starts_with('.')) path.remove_prefix(1);
  std::string step;
  if (path.starts_with("[\"")) {
    const auto end = path.find("\"]");
    step = path.substr(2, end == std::string_view::npos ? end : end - 2);
    path.remove_prefix(end == std::string_view::npos ? path.size() : end + 2);
  } else if (path.starts_with('[')) {
    index = true;
    const auto end = std::min(path.find(']'), path.size() - 1);
    step = path.substr(1, end - 1);
    path.remove_prefix(end + 1);
  } else {
    const auto end = std::min(path.find_first_of(".["), path.size());
    step = path.substr(0, end);
    path.remove_prefix(end);
  }
  return step;
}

}  // namespace

void Problems::add(const Position& position, std::string_view path, std::string_view message) {
  std::string text = position.to_string();
  if (!text.empty()) text += ": ";
  if (!path.empty()) text += fmt::format("{}: ", path);
  text += message;
  lines_.push_back({position.line, std::move(text)});
}

void Problems::append(const Problems& others) { lines_.insert(lines_.end(), others.lines_.begin(), others.lines_.end()); }

Error Problems::to_error() const {
  auto lines = lines_;
  std::stable_sort(lines.begin(), lines.end(), [](const Line& a, const Line& b) { return a.line < b.line; });
  Error error{ErrorCode::kInvalid, "", std::nullopt};
  for (const auto& line : lines) {
    if (!error.message.empty()) error.message += '\n';
    error.message += line.text;
  }
  return error;
}

std::string join_path(std::string_view path, std::string_view key) {
  if (key.find_first_of("./[ ") != std::string_view::npos || key.empty()) return fmt::format("{}[\"{}\"]", path, key);
  return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
}

std::string join_path(std::string_view path, std::size_t index) { return fmt::format("{}[{}]", path, index); }

const Node& nearest_node(const Node& root, std::string_view path) {
  const Node* node = &root;
  while (!path.empty()) {
    bool is_index = false;
    const std::string step = take_step(path, is_index);
    const Node* next = nullptr;
    if (is_index) {
      std::size_t index = 0;
      const auto [end, error] = std::from_chars(step.data(), step.data() + step.size(), index);
      if (error == std::errc() && node->kind == Node::Kind::kList && index < node->children.size()) next = &node->children[index];
    } else {
      next = node->find(step);
    }
    if (next == nullptr) break;
    node = next;
  }
  return *node;
}

std::string_view nearest_name(std::string_view name, const std::vector<std::string_view>& names) {
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(2, name.size() / 3) + 1;
  if (name.size() > 64) return best;
  for (const auto candidate : names) {
    const auto d = distance(name, candidate);
    if (d < best_distance && d < candidate.size()) {
      best = candidate;
      best_distance = d;
    }
  }
  return best;
}

}  // namespace cistern::yaml
