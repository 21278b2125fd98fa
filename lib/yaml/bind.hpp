// From a Node to a struct and back, by one description of the struct. For each struct, beside it:
//
//   template <class V> void describe(V& v, Breaker& breaker) {
//     v.field("failures", breaker.failures, at_least(1));
//     v.field("openFor", breaker.open_for);
//   }
//   constexpr auto enum_names(Fallback) { return std::array{std::pair{Fallback::kNotFound, "NotFound"}, …}; }
//
// Reader follows it strictly: unknown fields, wrong types and what a check refuses become Problems with file, line and path; a field
// that is not in the document keeps its value, which is how defaults are made. Writer follows the same description.
//
// Members may be bool, int, unsigned, double, std::string, milliseconds (text such as "30s"), Bytes ("20Gi" or a number), enums, described
// structs, std::optional, std::vector and std::map<std::string, …> of those, Percent, Json (any value without null) and Node (the same,
// with positions). A check is a function from the value, or from each element of a list, to Result<void>.
#pragma once

#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/units.hpp"
#include "yaml/node.hpp"
#include "yaml/problems.hpp"

namespace cistern::yaml {

// Refers to a whole percentage that is written "15%".
struct Percent {
  unsigned& value;
};

struct NoCheck {};

namespace detail {

template <class T>
inline constexpr bool kIsVector = false;
template <class T>
inline constexpr bool kIsVector<std::vector<T>> = true;
template <class T>
inline constexpr bool kIsOptional = false;
template <class T>
inline constexpr bool kIsOptional<std::optional<T>> = true;
template <class T>
inline constexpr bool kIsMap = false;
template <class T>
inline constexpr bool kIsMap<std::map<std::string, T>> = true;

// Each adds a problem and returns false if the node is of another type.
bool read_scalar(const Node& node, std::string_view path, Problems& problems, bool& out);
bool read_scalar(const Node& node, std::string_view path, Problems& problems, unsigned& out);
bool read_scalar(const Node& node, std::string_view path, Problems& problems, int& out);
bool read_scalar(const Node& node, std::string_view path, Problems& problems, double& out);
bool read_scalar(const Node& node, std::string_view path, Problems& problems, std::string& out);
bool read_scalar(const Node& node, std::string_view path, Problems& problems, std::chrono::milliseconds& out);
bool read_scalar(const Node& node, std::string_view path, Problems& problems, Bytes& out);
bool read_scalar(const Node& node, std::string_view path, Problems& problems, Percent& out);
bool read_scalar(const Node& node, std::string_view path, Problems& problems, Json& out);
bool read_scalar(const Node& node, std::string_view path, Problems& problems, Node& out);
bool want(Node::Kind kind, const Node& node, std::string_view path, Problems& problems);
void unknown_name(const Node& node, std::string_view path, const std::vector<std::string_view>& names, Problems& problems);
// Takes a struct's fields at their defaults out of `json`.
void drop_defaults(Json& json, const Json& defaults, const std::vector<std::string_view>& required);

template <class T>
concept Scalar = std::same_as<T, bool> || std::same_as<T, int> || std::same_as<T, unsigned> || std::same_as<T, double> ||
                 std::same_as<T, std::string> || std::same_as<T, std::chrono::milliseconds> || std::same_as<T, Bytes> ||
                 std::same_as<T, Percent> || std::same_as<T, Json> || std::same_as<T, Node>;

}  // namespace detail

// Whether fields that a whole document must have may be missing, as in an overlay.
enum class Completeness { kWhole, kPartial };

class Reader {
 public:
  // `map` must be a map, and must outlive the reader.
  Reader(const Node& map, std::string path, Problems& problems, Completeness completeness)
      : map_(map), path_(std::move(path)), problems_(problems), completeness_(completeness) {}

  template <class T, class Check = NoCheck>
  void field(std::string_view name, T&& out, const Check& check = {}) {
    names_.push_back(name);
    if (const Node* node = map_.find(name)) read(*node, join_path(path_, name), out, check);
  }

  // A field that must be there, unless the document is partial.
  template <class T, class Check = NoCheck>
  void required(std::string_view name, T&& out, const Check& check = {}) {
    if (completeness_ == Completeness::kWhole && map_.find(name) == nullptr) {
      problems_.add(map_.position, join_path(path_, name), "is required, and is missing");
    }
    field(name, out, check);
  }

  // A map in the document whose members lie in the same struct.
  template <class Describe>
  void group(std::string_view name, const Describe& describe_members) {
    names_.push_back(name);
    const Node* node = map_.find(name);
    const std::string path = join_path(path_, name);
    if (node == nullptr || !detail::want(Node::Kind::kMap, *node, path, problems_)) return;
    Reader reader(*node, path, problems_, completeness_);
    describe_members(reader);
    reader.finish();
  }

  // A list of structs whose description depends on where the list is: describe_item(reader, item).
  template <class T, class Describe>
  void list(std::string_view name, std::vector<T>& out, const Describe& describe_item) {
    names_.push_back(name);
    const Node* node = map_.find(name);
    const std::string path = join_path(path_, name);
    if (node == nullptr || !detail::want(Node::Kind::kList, *node, path, problems_)) return;
    out.clear();
    for (std::size_t i = 0; i < node->children.size(); ++i) {
      out.emplace_back();
      if (!detail::want(Node::Kind::kMap, node->children[i], join_path(path, i), problems_)) continue;
      Reader reader(node->children[i], join_path(path, i), problems_, completeness_);
      describe_item(reader, out.back());
      reader.finish();
    }
  }

  // A field that may be there and is not looked at.
  void skip(std::string_view name) { names_.push_back(name); }

  // Reports the fields that nothing asked for. Called by whoever made the reader.
  void finish() const {
    for (const auto& child : map_.children) {
      if (std::find(names_.begin(), names_.end(), child.key) == names_.end()) {
        detail::unknown_name(child, join_path(path_, child.key), names_, problems_);
      }
    }
  }

 private:
  template <class T, class Check>
  void read(const Node& node, const std::string& path, T& out, const Check& check) {
    if constexpr (detail::kIsOptional<T>) {
      out.emplace();
      read(node, path, *out, check);
    } else if constexpr (detail::kIsVector<T>) {
      if (!detail::want(Node::Kind::kList, node, path, problems_)) return;
      out.clear();
      for (std::size_t i = 0; i < node.children.size(); ++i) {
        out.emplace_back();
        read(node.children[i], join_path(path, i), out.back(), check);
      }
    } else if constexpr (detail::kIsMap<T>) {
      if (!detail::want(Node::Kind::kMap, node, path, problems_)) return;
      out.clear();
      for (const auto& child : node.children) read(child, join_path(path, child.key), out[child.key], check);
    } else {
      const bool valid = read_one(node, path, out);
      if constexpr (!std::same_as<Check, NoCheck>) {
        if (!valid) return;
        if (Result<void> checked = check(out); !checked) problems_.add(node.position, path, checked.error().message);
      }
    }
  }

  template <class T>
  bool read_one(const Node& node, const std::string& path, T& out) {
    if constexpr (detail::Scalar<T>) {
      return detail::read_scalar(node, path, problems_, out);
    } else if constexpr (std::is_enum_v<T>) {
      std::string text;
      std::vector<std::string_view> names;
      for (const auto& [value, name] : enum_names(T{})) names.emplace_back(name);
      if (!detail::read_scalar(node, path, problems_, text)) return false;
      for (const auto& [value, name] : enum_names(T{})) {
        if (text != name) continue;
        out = value;
        return true;
      }
      problems_.add(node.position, path, fmt::format("\"{}\" is not known here; write {}", text, fmt::join(names, " or ")));
      return false;
    } else {
      if (!detail::want(Node::Kind::kMap, node, path, problems_)) return false;
      Reader reader(node, path, problems_, completeness_);
      describe(reader, out);
      reader.finish();
      return true;
    }
  }

  const Node& map_;
  std::string path_;
  Problems& problems_;
  Completeness completeness_;
  std::vector<std::string_view> names_;
};

// Reads a whole struct; what is wrong goes to `problems`.
template <class T>
void read(const Node& node, const std::string& path, Problems& problems, T& out, Completeness completeness = Completeness::kWhole) {
  if (!detail::want(Node::Kind::kMap, node, path, problems)) return;
  Reader reader(node, path, problems, completeness);
  describe(reader, out);
  reader.finish();
}

// What a writer leaves out: nothing, or every field that has its default.
enum class Write { kAll, kChanged };

class Writer {
 public:
  explicit Writer(Write mode) : mode_(mode) {}

  template <class T, class Check = NoCheck>
  void field(std::string_view name, const T& value, const Check& = {}) {
    if constexpr (detail::kIsOptional<T>) {
      if (value) put(name, to_value(*value));
    } else {
      put(name, to_value(value));
    }
  }
  template <class T, class Check = NoCheck>
  void required(std::string_view name, const T& value, const Check& = {}) {
    required_.push_back(name);
    field(name, value);
  }
  template <class Describe>
  void group(std::string_view name, const Describe& describe_members) {
    Writer members(mode_);
    describe_members(members);
    put(name, std::move(members.json_));
  }

  template <class T, class Describe>
  void list(std::string_view name, const std::vector<T>& items, const Describe& describe_item) {
    Json json = Json::array();
    for (const auto& item : items) json.push_back(write(item, mode_, describe_item));
    put(name, std::move(json));
  }

  template <class T, class Describe>
  static Json write(T value, Write mode, const Describe& describe_value) {
    Writer writer(mode);
    describe_value(writer, value);
    if (mode == Write::kChanged) {
      T fresh{};
      Writer defaults(mode);
      describe_value(defaults, fresh);
      detail::drop_defaults(writer.json_, defaults.json_, writer.required_);
    }
    return std::move(writer.json_);
  }

 private:
  void put(std::string_view name, Json value) { json_[std::string(name)] = std::move(value); }

  template <class T>
  Json to_value(const T& value) const {
    if constexpr (std::same_as<T, std::chrono::milliseconds> || std::same_as<T, Bytes>) {
      return to_string(value);
    } else if constexpr (std::same_as<T, Percent>) {
      return fmt::format("{}%", value.value);
    } else if constexpr (std::same_as<T, Node>) {
      return to_json(value);
    } else if constexpr (detail::Scalar<T>) {
      return Json(value);
    } else if constexpr (std::is_enum_v<T>) {
      for (const auto& [known, name] : enum_names(T{})) {
        if (known == value) return Json(name);
      }
      return nullptr;
    } else if constexpr (detail::kIsVector<T>) {
      Json list = Json::array();
      for (const auto& item : value) list.push_back(to_value(item));
      return list;
    } else if constexpr (detail::kIsMap<T>) {
      Json map = Json::object();
      for (const auto& [key, item] : value) map[key] = to_value(item);
      return map;
    } else {
      return write(value, mode_, [](Writer& writer, T& described) { describe(writer, described); });
    }
  }

  Write mode_;
  Json json_ = Json::object();
  std::vector<std::string_view> required_;
};

// A described struct as JSON, fields in the order of their description.
template <class T>
Json write(const T& value, Write mode) {
  return Writer::write(value, mode, [](Writer& writer, T& described) { describe(writer, described); });
}

}  // namespace cistern::yaml
