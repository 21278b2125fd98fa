#include "settings/file.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "yaml/problems.hpp"

namespace cistern::settings {
namespace {

using yaml::Node;

bool looks_secret(std::string_view key) {
  static constexpr std::array<std::string_view, 6> kWords = {"password", "passwd", "secret", "token", "credential", "private-key"};
  const auto lower = lower_case(key);
  return std::ranges::any_of(kWords, [&](std::string_view word) { return lower.find(word) != std::string::npos; });
}

std::string text_of(const Node& node) { return node.scalar.is_string() ? node.scalar.get<std::string>() : node.scalar.dump(); }

void refuse_unknown(const Node& node, const std::string& path, const std::vector<std::string_view>& names, yaml::Problems& problems) {
  if (looks_secret(node.key)) {
    problems.add(node.position, path, "a secret is no setting; put it into a file, and have a policy refer to it by credentialsRef");
    return;
  }
  const auto near = yaml::nearest_name(node.key, names);
  problems.add(node.position, path,
               near.empty() ? fmt::format("unknown setting; known here are {}", fmt::join(names, ", "))
                            : fmt::format("unknown setting; did you mean \"{}\"?", near));
}

void check_value(const Node& node, const std::string& path, bool several, yaml::Problems& problems) {
  if (node.is_null()) {
    problems.add(node.position, path, "has no value; leave it out, or write one");
  } else if (node.kind == Node::Kind::kList && several) {
    for (const auto& item : node.children) {
      if (item.kind != Node::Kind::kScalar || item.is_null()) {
        problems.add(item.position, path, fmt::format("must be a list of values, and has {} in it", yaml::describe_value(item)));
      }
    }
  } else if (node.kind != Node::Kind::kScalar) {
    problems.add(node.position, path,
                 fmt::format("must be {}, not {}", several ? "a value or a list" : "one value", yaml::describe_value(node)));
  }
}

void check_command(const Node& node, const std::map<std::string, bool>& options, yaml::Problems& problems) {
  if (node.kind != Node::Kind::kMap) {
    problems.add(node.position, node.key, fmt::format("must be a map of the settings of this command, not {}", yaml::describe_value(node)));
    return;
  }
  std::vector<std::string_view> names;
  for (const auto& [name, several] : options) names.emplace_back(name);
  for (const auto& child : node.children) {
    const auto path = yaml::join_path(node.key, child.key);
    if (const auto option = options.find(child.key); option != options.end()) {
      check_value(child, path, option->second, problems);
    } else {
      refuse_unknown(child, path, names, problems);
    }
  }
}

}  // namespace

Result<File> File::parse(std::string_view text, const std::string& name, const Known& known) {
  auto documents = yaml::parse(text, name);
  if (!documents) return fail(documents.error());
  File file;
  file.known_ = known;
  if (documents->empty()) return file;
  if (documents->size() > 1 || documents->front().kind != Node::Kind::kMap) {
    return fail(ErrorCode::kInvalid, "{}:{}: must be one map of settings", name, documents->back().position.line);
  }
  std::map<std::string, bool> all;
  for (const auto& [command, options] : known) {
    for (const auto& [option, several] : options) all[option] = all[option] || several;
  }
  std::vector<std::string_view> names;
  for (const auto& [option, several] : all) names.emplace_back(option);
  for (const auto& [command, options] : known) names.emplace_back(command);
  yaml::Problems problems;
  for (const auto& child : documents->front().children) {
    if (const auto command = known.find(child.key); command != known.end()) {
      check_command(child, command->second, problems);
    } else if (const auto option = all.find(child.key); option != all.end()) {
      check_value(child, child.key, option->second, problems);
    } else {
      refuse_unknown(child, child.key, names, problems);
    }
  }
  if (!problems.empty()) return fail(problems.to_error());
  file.root_ = std::move(documents->front());
  return file;
}

std::optional<Given> File::find(const std::string& command, const std::string& option) const {
  const Node* own = known_.contains(command) ? root_.find(command) : nullptr;
  const Node* node = own == nullptr ? nullptr : own->find(option);
  if (node == nullptr && !known_.contains(option)) node = root_.find(option);
  if (node == nullptr) return std::nullopt;
  Given given{{}, node->position.to_string()};
  if (node->kind == Node::Kind::kScalar) {
    given.values.push_back(text_of(*node));
  } else {
    for (const auto& item : node->children) given.values.push_back(text_of(item));
  }
  return given;
}

}  // namespace cistern::settings
