#include "yaml/node.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <sstream>
#include <unordered_set>

#include "base/text.hpp"

namespace cistern::yaml {
namespace {

constexpr std::size_t kMaxSize = 1 << 20;
constexpr std::size_t kMaxNodes = 50'000;
constexpr int kMaxDepth = 64;

struct Refused {
  int line;
  std::string message;
};

// A plain scalar by YAML 1.2's core schema, decimal numbers only.
Json plain_scalar(const std::string& text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return nullptr;
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  const char* begin = text.data() + (text[0] == '+' ? 1 : 0);
  const char* end = text.data() + text.size();
  const char* digits = begin + (begin != end && *begin == '-' ? 1 : 0);
  if (digits == end || !((*digits >= '0' && *digits <= '9') || *digits == '.')) return text;
  std::int64_t whole = 0;
  if (const auto [last, error] = std::from_chars(begin, end, whole); error == std::errc() && last == end) return whole;
  double number = 0;
  if (const auto [last, error] = std::from_chars(begin, end, number); error == std::errc() && last == end) return number;
  return text;
}

// Watches where documents begin. yaml-cpp 0.7 makes empty documents without end of text such as ", a", where a token stands that can
// not begin one, and never moves on.
class DocumentWatch final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& mark) override {
    if (mark.pos == last_) throw Refused{mark.line + 1, "not valid YAML: a document can not begin like this"};
    last_ = mark.pos;
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& /*mark*/, YAML::anchor_t /*anchor*/) override {}
  void OnAlias(const YAML::Mark& /*mark*/, YAML::anchor_t /*anchor*/) override {}
  void OnScalar(const YAML::Mark& /*mark*/, const std::string& /*tag*/, YAML::anchor_t /*anchor*/, const std::string& /*value*/) override {}
  void OnSequenceStart(const YAML::Mark& /*mark*/, const std::string& /*tag*/, YAML::anchor_t /*anchor*/,
                       YAML::EmitterStyle::value /*style*/) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark& /*mark*/, const std::string& /*tag*/, YAML::anchor_t /*anchor*/,
                  YAML::EmitterStyle::value /*style*/) override {}
  void OnMapEnd() override {}

 private:
  int last_ = -1;
};

void refuse_endless(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  DocumentWatch watch;
  while (parser.HandleNextDocument(watch)) {
  }
}

class Converter {
 public:
  explicit Converter(std::shared_ptr<const std::string> file) : file_(std::move(file)) {}

  Node convert(const YAML::Node& from, int line, int depth) {
    if (++count_ > kMaxNodes) throw Refused{line, fmt::format("the file has more than {} values (aliases counted in full)", kMaxNodes)};
    if (depth > kMaxDepth) throw Refused{line, fmt::format("nested more than {} levels deep", kMaxDepth)};
    Node node;
    node.position = {file_, line};
    if (from.IsMap()) {
      convert_map(from, depth, node);
    } else if (from.IsSequence()) {
      node.kind = Node::Kind::kList;
      for (const auto& item : from) node.children.push_back(convert(item, item.Mark().line + 1, depth + 1));
    } else if (from.IsScalar()) {
      // Tag "?" is a plain scalar; "!" a quoted one, or an explicit tag, which is read as text.
      node.scalar = from.Tag() == "?" ? plain_scalar(from.Scalar()) : Json(from.Scalar());
    }
    return node;
  }

 private:
  void convert_map(const YAML::Node& from, int depth, Node& node) {
    node.kind = Node::Kind::kMap;
    std::unordered_set<std::string> seen;
    for (const auto& member : from) {
      const int line = member.first.Mark().line + 1;
      if (!member.first.IsScalar()) throw Refused{line, "a key must be a name, not a list or a map"};
      const std::string& key = member.first.Scalar();
      if (!seen.insert(key).second) throw Refused{line, fmt::format("\"{}\" is given twice in the same map; keep one", key)};
      Node child = convert(member.second, line, depth + 1);
      child.key = key;
      node.children.push_back(std::move(child));
    }
  }

  std::shared_ptr<const std::string> file_;
  std::size_t count_ = 0;
};

}  // namespace

std::string Position::to_string() const {
  if (!file) return "";
  return line > 0 ? fmt::format("{}:{}", *file, line) : *file;
}

const Node* Node::find(std::string_view name) const {
  if (kind != Kind::kMap) return nullptr;
  const auto found = std::find_if(children.begin(), children.end(), [&](const Node& child) { return child.key == name; });
  return found == children.end() ? nullptr : &*found;
}

Node* Node::find(std::string_view name) { return const_cast<Node*>(std::as_const(*this).find(name)); }

std::string describe_value(const Node& node) {
  switch (node.kind) {
    case Node::Kind::kList: return "a list";
    case Node::Kind::kMap: return "a map";
    case Node::Kind::kScalar: break;
  }
  if (node.scalar.is_null()) return "nothing";
  if (node.scalar.is_boolean()) return fmt::format("the truth value {}", node.scalar.dump());
  if (node.scalar.is_number()) return fmt::format("the number {}", node.scalar.dump());
  return fmt::format("the text \"{}\"", node.scalar.get_ref<const std::string&>());
}

Result<std::vector<Node>> parse(std::string_view text, const std::string& file) {
  if (text.size() > kMaxSize) {
    return fail(ErrorCode::kInvalid, "{}: the file has {} bytes; more than {} are not read", file, text.size(), kMaxSize);
  }
  if (!is_utf8(text)) return fail(ErrorCode::kInvalid, "{}: the file is not UTF-8 text", file);
  try {
    refuse_endless(std::string(text));
    Converter converter(std::make_shared<const std::string>(file));
    std::vector<Node> documents;
    for (const auto& document : YAML::LoadAll(std::string(text))) {
      Node node = converter.convert(document, document.Mark().line + 1, 0);
      if (!node.is_null()) documents.push_back(std::move(node));
    }
    return documents;
  } catch (const Refused& refused) {
    return fail(ErrorCode::kInvalid, "{}:{}: {}", file, refused.line, refused.message);
  } catch (const YAML::Exception& error) {
    return fail(ErrorCode::kInvalid, "{}:{}: not valid YAML: {}", file, error.mark.line + 1, error.msg);
  }
}

Json to_json(const Node& node) {
  if (node.kind == Node::Kind::kScalar) return node.scalar;
  Json json = node.kind == Node::Kind::kList ? Json::array() : Json::object();
  for (const auto& child : node.children) {
    if (node.kind == Node::Kind::kList) {
      json.push_back(to_json(child));
    } else {
      json[child.key] = to_json(child);
    }
  }
  return json;
}

Node from_json(const Json& json) {
  Node node;
  if (!json.is_structured()) {
    node.scalar = json;
    return node;
  }
  node.kind = json.is_object() ? Node::Kind::kMap : Node::Kind::kList;
  for (const auto& item : json.items()) {
    Node child = from_json(item.value());
    if (json.is_object()) child.key = item.key();
    node.children.push_back(std::move(child));
  }
  return node;
}

}  // namespace cistern::yaml
