// What no single value can tell; the model's own checks of the same are in validate.cpp.
#include "operator/model/schema_forms.hpp"

#include <array>

namespace cistern::model::schema {
namespace {

struct Spanning {
  std::string_view path;
  bool in_overlays;  // where what it looks at is all in one overlay
  std::string_view rule;
  std::string_view message;
  std::string_view field_path;
};

constexpr std::array<Spanning, 7> kRules = {{
    {"", false,
     "!has(self.nodeConfig) || !has(self.nodeConfig.mode) || self.nodeConfig.mode != 'Off' || !has(self.images) || "
     "!has(self.images.registries) || self.images.registries.all(r, !has(r.fallbackToSource) || r.fallbackToSource)",
     "fallbackToSource: false needs the runtime's configuration, which nodeConfig.mode Off leaves alone; write true, or nodeConfig.mode "
     "Apply",
     ".images.registries"},
    {"go", true, "!has(self.allowDirect) || !self.allowDirect || !has(self.deny) || size(self.deny) == 0",
     "would let `go` fetch what deny refuses; remove deny, or set allowDirect to false", ".allowDirect"},
    {"go.sumDB", false,
     "has(self.mode) && self.mode != 'Verify' || has(self.key) && self.key != '' || !has(self.name) || self.name == 'sum.golang.org'",
     "is required to verify against another database; write its verifier key, name+hash+key", ".key"},
    {"go.sumDB", false,
     "has(self.mode) && self.mode != 'Verify' || !has(self.key) || self.key == '' || self.key.startsWith((has(self.name) ? self.name : "
     "'sum.golang.org') + '+')",
     "is not a key of this database; a verifier key begins with the database's name", ".key"},
    {"images.registries[]", false, "has(self.upstreams) && size(self.upstreams) > 0", "must name at least one upstream", ".upstreams"},
    // One without a name is called by its URL's host; whether those agree is found by the operator, as estimates know no bound of a host.
    {"go.upstreams", true, "self.all(a, !has(a.name) || self.exists_one(b, has(b.name) && b.name == a.name))",
     "an upstream of this name is in this list already; give each its own name", ""},
    {"images.registries[].upstreams", true, "self.all(a, !has(a.name) || self.exists_one(b, has(b.name) && b.name == a.name))",
     "an upstream of this name is in this list already; give each its own name", ""},
}};

}  // namespace

void add_rules_of(std::string_view path, Json& schema, Part part) {
  for (const auto& spanning : kRules) {
    if (spanning.path != path || (part == Part::kOverlay && !spanning.in_overlays)) continue;
    // A region's `go` has neither allowDirect nor deny.
    const auto member = spanning.field_path.substr(0, spanning.field_path.find('.', 1));
    if (!member.empty() && !schema["properties"].contains(member.substr(1))) continue;
    add_rule(schema, spanning.rule, spanning.message, spanning.field_path);
  }
}

}  // namespace cistern::model::schema
