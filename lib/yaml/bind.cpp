#include "yaml/bind.hpp"

#include <algorithm>
#include <cstdlib>
#include <limits>

namespace cistern::yaml::detail {
namespace {

bool wrong_type(std::string_view wanted, const Node& node, std::string_view path, Problems& problems) {
  if (node.is_null()) {
    problems.add(node.position, path, "has no value; leave the field out, or write [] or Off to take something away");
  } else {
    problems.add(node.position, path, fmt::format("must be {}, not {}", wanted, describe_value(node)));
  }
  return false;
}

bool refuse_nulls(const Node& node, std::string_view path, Problems& problems) {
  if (node.is_null()) return wrong_type("a value", node, path, problems);
  bool valid = true;
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    const auto& child = node.children[i];
    const auto child_path = node.kind == Node::Kind::kMap ? join_path(path, child.key) : join_path(path, i);
    valid = refuse_nulls(child, child_path, problems) && valid;
  }
  return valid;
}

// The value of a quantity that is written as text, or as a number that `plain` admits.
template <class T, class Parse>
bool read_quantity(const Node& node, std::string_view path, Problems& problems, std::string_view wanted, Parse parse, T& out) {
  if (node.kind != Node::Kind::kScalar || !(node.scalar.is_string() || node.scalar.is_number_integer())) {
    return wrong_type(wanted, node, path, problems);
  }
  const auto parsed = parse(node.scalar.is_string() ? node.scalar.get<std::string>() : node.scalar.dump());
  if (!parsed) {
    problems.add(node.position, path, parsed.error().message);
    return false;
  }
  out = *parsed;
  return true;
}

}  // namespace

bool want(Node::Kind kind, const Node& node, std::string_view path, Problems& problems) {
  if (node.kind == kind) return true;
  return wrong_type(kind == Node::Kind::kList ? "a list" : "a map", node, path, problems);
}

bool read_scalar(const Node& node, std::string_view path, Problems& problems, bool& out) {
  if (!node.scalar.is_boolean()) return wrong_type("true or false", node, path, problems);
  out = node.scalar.get<bool>();
  return true;
}

bool read_scalar(const Node& node, std::string_view path, Problems& problems, unsigned& out) {
  const bool whole = node.scalar.is_number_integer() && node.scalar.get<std::int64_t>() >= 0 &&
                     node.scalar.get<std::int64_t>() <= std::numeric_limits<std::int32_t>::max();
  if (!whole) return wrong_type("a whole number, 0 or more", node, path, problems);
  out = node.scalar.get<unsigned>();
  return true;
}

bool read_scalar(const Node& node, std::string_view path, Problems& problems, int& out) {
  const bool fits = node.scalar.is_number_integer() && std::abs(node.scalar.get<std::int64_t>()) <= std::numeric_limits<int>::max();
  if (!fits) return wrong_type("a whole number", node, path, problems);
  out = node.scalar.get<int>();
  return true;
}

bool read_scalar(const Node& node, std::string_view path, Problems& problems, double& out) {
  if (!node.scalar.is_number() || !(node.scalar.get<double>() >= 0)) return wrong_type("a number, 0 or more", node, path, problems);
  out = node.scalar.get<double>();
  return true;
}

bool read_scalar(const Node& node, std::string_view path, Problems& problems, std::string& out) {
  if (!node.scalar.is_string()) {
    const bool quotable = node.scalar.is_boolean() || node.scalar.is_number();
    return wrong_type(quotable ? fmt::format("text (write \"{}\" in quotes)", node.scalar.dump()) : "text", node, path, problems);
  }
  out = node.scalar.get<std::string>();
  if (out.find('\0') == std::string::npos) return true;
  problems.add(node.position, path, "holds a NUL character");
  return false;
}

bool read_scalar(const Node& node, std::string_view path, Problems& problems, std::chrono::milliseconds& out) {
  return read_quantity(
      node, path, problems, "a duration such as \"30s\"", [](const std::string& text) { return parse_duration(text); }, out);
}

bool read_scalar(const Node& node, std::string_view path, Problems& problems, Bytes& out) {
  return read_quantity(
      node, path, problems, "a size such as \"20Gi\"", [](const std::string& text) { return parse_bytes(text); }, out);
}

bool read_scalar(const Node& node, std::string_view path, Problems& problems, Percent& out) {
  return read_quantity(
      node, path, problems, "a percentage such as \"15%\"", [](const std::string& text) { return parse_percent(text); }, out.value);
}

bool read_scalar(const Node& node, std::string_view path, Problems& problems, Json& out) {
  if (!refuse_nulls(node, path, problems)) return false;
  out = to_json(node);
  return true;
}

bool read_scalar(const Node& node, std::string_view path, Problems& problems, Node& out) {
  if (!refuse_nulls(node, path, problems)) return false;
  out = node;
  return true;
}

void unknown_name(const Node& node, std::string_view path, const std::vector<std::string_view>& names, Problems& problems) {
  const auto near = nearest_name(node.key, names);
  problems.add(node.position, path,
               near.empty() ? fmt::format("unknown field; known here are {}", fmt::join(names, ", "))
                            : fmt::format("unknown field; did you mean \"{}\"?", near));
}

void drop_defaults(Json& json, const Json& defaults, const std::vector<std::string_view>& required) {
  for (const auto& item : defaults.items()) {
    if (std::find(required.begin(), required.end(), item.key()) != required.end()) continue;
    const auto found = json.find(item.key());
    if (found != json.end() && *found == item.value()) json.erase(found);
  }
}

}  // namespace cistern::yaml::detail
