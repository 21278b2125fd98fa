#include "operator/rewrite/yaml_images.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <sstream>

#include "base/text.hpp"

namespace cistern::rewrite {
namespace {

// A value, and where in the text it begins: at its anchor or tag, if it has one. An alias is the very item that it stands for.
struct Item {
  enum class Kind { kNull, kScalar, kList, kMap };

  Kind kind;
  std::size_t at;
  std::string value;
  std::vector<const Item*> children;  // of a map: keys and values in turn
};

struct Broken {
  int line;
  std::string message;
};

// Makes the items of each document. Those of all documents live as long as this.
class Builder final : public YAML::EventHandler {
 public:
  // Of the document that was read last; null if it is empty.
  const Item* root() const { return root_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    // yaml-cpp 0.7 makes empty documents without end where a token stands that can not begin one.
    if (mark.pos == last_start_) throw Broken{mark.line + 1, "a document can not begin like this"};
    last_start_ = mark.pos;
    root_ = nullptr;
    open_.clear();
    anchors_.clear();
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { add({Item::Kind::kNull, place(mark), "", {}}, anchor); }
  void OnAlias(const YAML::Mark& /*mark*/, YAML::anchor_t anchor) override { put(anchors_[anchor]); }
  void OnScalar(const YAML::Mark& mark, const std::string& /*tag*/, YAML::anchor_t anchor, const std::string& value) override {
    add({Item::Kind::kScalar, place(mark), value, {}}, anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& /*tag*/, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    open_.push_back(add({Item::Kind::kList, place(mark), "", {}}, anchor));
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& /*tag*/, YAML::anchor_t anchor, YAML::EmitterStyle::value /*style*/) override {
    open_.push_back(add({Item::Kind::kMap, place(mark), "", {}}, anchor));
  }
  void OnMapEnd() override { open_.pop_back(); }

 private:
  static std::size_t place(const YAML::Mark& mark) { return static_cast<std::size_t>(std::max(mark.pos, 0)); }

  Item* add(Item item, YAML::anchor_t anchor) {
    items_.push_back(std::move(item));
    if (anchor != 0) anchors_[anchor] = &items_.back();
    put(&items_.back());
    return &items_.back();
  }

  void put(const Item* item) {
    if (open_.empty()) {
      root_ = item;
    } else {
      open_.back()->children.push_back(item);
    }
  }

  std::deque<Item> items_;
  std::vector<Item*> open_;
  std::map<YAML::anchor_t, const Item*> anchors_;
  const Item* root_ = nullptr;
  int last_start_ = -1;
};

const Item* own_member(const Item& map, std::string_view key) {
  for (std::size_t i = 0; i + 1 < map.children.size(); i += 2) {
    const auto* name = map.children[i];
    if (name != nullptr && name->kind == Item::Kind::kScalar && name->value == key) return map.children[i + 1];
  }
  return nullptr;
}

// Its own, else what the maps that `<<` names have. An anchor may be within itself: no deeper than this.
const Item* member(const Item* map, std::string_view key, int depth = 16) {
  if (map == nullptr || map->kind != Item::Kind::kMap || depth == 0) return nullptr;
  if (const auto* found = own_member(*map, key)) return found;
  const auto* merged = own_member(*map, "<<");
  if (merged == nullptr || merged->kind != Item::Kind::kList) return member(merged, key, depth - 1);
  for (const auto* one : merged->children) {
    if (const auto* found = member(one, key, depth - 1)) return found;
  }
  return nullptr;
}

bool is_list(const Item* item) { return item != nullptr && item->kind == Item::Kind::kList; }
bool is_map(const Item* item) { return item != nullptr && item->kind == Item::Kind::kMap; }

// Finds a scalar's own characters in the text.
class Scalars {
 public:
  Scalars(std::string_view text, Edits& edits) : text_(text), edits_(edits) {}

  void image(const Item* item) {
    if (item == nullptr || item->kind != Item::Kind::kScalar) return;
    // A block scalar ends in a line break.
    const std::string_view value = trimmed(std::string_view(item->value).substr(0, item->value.find_last_not_of("\r\n") + 1));
    if (value.empty() || value == "~" || value == "null") return;
    if (const auto at = find(item->at, value)) {
      edits_.reference(*at, value.size());
    } else {
      edits_.unclear(item->at, value, "it is not written on one line as it is");
    }
  }

 private:
  std::optional<std::size_t> find(std::size_t at, std::string_view value) const {
    at = skip_properties(at);
    if (at >= text_.size()) return std::nullopt;
    const char first = text_[at];
    if (first == '|' || first == '>') {
      at = text_.find('\n', at);
      if (at != std::string_view::npos) at = text_.find_first_not_of(" \t\r\n", at);
    } else if (first == '"' || first == '\'') {
      at = text_.find_first_not_of(" \t", at + 1);
    }
    if (at == std::string_view::npos || text_.substr(at, value.size()) != value) return std::nullopt;
    return at;
  }

  // Anchors and tags, and what may be between them and their value.
  std::size_t skip_properties(std::size_t at) const {
    while (at < text_.size()) {
      const char c = text_[at];
      if (c == '&' || c == '!') {
        at = std::min(text_.find_first_of(" \t\r\n", at), text_.size());
      } else if (c == '#') {
        at = std::min(text_.find('\n', at), text_.size());
      } else if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
        ++at;
      } else {
        break;
      }
    }
    return at;
  }

  std::string_view text_;
  Edits& edits_;
};

// Everything below an item; each once, however many aliases lead to it.
class Manifest {
 public:
  explicit Manifest(Scalars& scalars) : scalars_(scalars) {}

  void walk(const Item* item) {
    if (item == nullptr || item->children.empty() || !seen_.insert(item).second) return;
    if (is_map(item)) look_at(*item);
    for (const auto* child : item->children) walk(child);
  }

 private:
  void look_at(const Item& map) {
    for (const auto* list : {"containers", "initContainers", "ephemeralContainers"}) {
      const auto* containers = own_member(map, list);
      if (!is_list(containers)) continue;
      for (const auto* container : containers->children) scalars_.image(member(container, "image"));
    }
    const auto* volumes = own_member(map, "volumes");
    if (!is_list(volumes)) return;
    for (const auto* volume : volumes->children) scalars_.image(member(member(volume, "image"), "reference"));
  }

  Scalars& scalars_;
  std::set<const Item*> seen_;
};

void find_in_document(const Item* root, Scalars& scalars) {
  if (!is_map(root)) return;
  if (own_member(*root, "apiVersion") != nullptr && own_member(*root, "kind") != nullptr) {
    Manifest(scalars).walk(root);
    return;
  }
  const auto* services = own_member(*root, "services");
  if (!is_map(services)) return;
  for (std::size_t i = 1; i < services->children.size(); i += 2) scalars.image(member(services->children[i], "image"));
}

}  // namespace

Result<void> find_in_yaml(std::string_view text, const std::string& file, Edits& edits) {
  Scalars scalars(text, edits);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    Builder builder;
    while (parser.HandleNextDocument(builder)) find_in_document(builder.root(), scalars);
    return {};
  } catch (const Broken& broken) {
    return fail(ErrorCode::kInvalid, "{}:{}: not valid YAML: {}", file, broken.line, broken.message);
  } catch (const YAML::Exception& error) {
    return fail(ErrorCode::kInvalid, "{}:{}: not valid YAML: {}", file, error.mark.line + 1, error.msg);
  }
}

}  // namespace cistern::rewrite
