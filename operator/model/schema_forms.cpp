#include "operator/model/schema_forms.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <stdexcept>
#include <vector>

#include "operator/model/describe.hpp"

namespace cistern::model::schema {
namespace {

struct Rule {
  std::string_view rule;
  std::string_view message;
  bool in_overlays = true;
};

// How a text must look: in spec by a rule with a message, in an overlay by the pattern alone; and what else holds. Or one of some names.
struct TextForm {
  TextCheck* check;
  std::size_t longest;
  std::string pattern;
  std::string_view message;
  std::vector<Rule> rules = {};
  std::vector<std::string_view> names = {};
};

constexpr std::string_view kDurationPattern = "^(0|([0-9]+([.][0-9]+)?(ns|us|ms|s|m|h))+)$";
constexpr std::string_view kPercentPattern = "^([0-9]{1,2}|100)%$";
constexpr std::string_view kSizePattern = "^[0-9]+([.][0-9]+)?(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?$";
constexpr std::size_t kLongestQuantity = 32;

// A URL that holds user information satisfies the pattern, and is refused by the rule alone: the API server tells the value with a pattern.
constexpr std::string_view kUrl =
    R"(https?://([^/?#]*@)?([A-Za-z0-9_][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.%]+\])(:[0-9]{1,5})?(/[^?#"\s]*)?|[^/]*(//[^/]*)?@.*)";
constexpr Rule kNoUserInformation = {"!self.matches('^[^/]*(//[^/]*)?@')",
                                     "the URL holds user information; write it without, and give credentials by reference"};
constexpr std::string_view kNotAUrl = R"(is not a URL to ask; write one such as "https://mirror.example/path", without query or fragment)";
constexpr std::string_view kNotAPath = R"(is not an absolute path of a folder; write one such as "/var/lib/cistern")";

const std::vector<TextForm>& text_forms() {
  static const std::vector<TextForm> kForms = {
      {config::check_url, 256, fmt::format("^({})$", kUrl), kNotAUrl, {kNoUserInformation}},
      {config::check_optional_url, 256, fmt::format("^({})?$", kUrl), kNotAUrl, {kNoUserInformation}},
      // An expression that does not compile fails the rule by an error of its own, so both branches are true.
      {config::check_regex, 256, "", "", {{"''.matches(self) ? true : true", "is not a regular expression (RE2)", false}}},
      {config::check_registry, 260, R"(^([a-z0-9_][a-z0-9._-]*|\[[0-9a-f:.%]+\])(:[1-9][0-9]{0,4})?$)",
       R"(is not a registry's name; write its host as in an image reference, without scheme or path: "docker.io", "localhost:5000")"},
      {config::check_host, 260, R"(^([A-Za-z0-9_][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.%]+\])(:[0-9]{1,5})?$)",
       R"(is not a host; write a name such as "auth.example")"},
      {config::check_name, 128, "^[A-Za-z0-9_.:-]+$", "is not a name; write letters, digits and -_.: (at most 128)"},
      {config::check_pattern, 256, R"(^[^,\s]+$)",
       R"(is not a module pattern: a pattern has no comma or white space; write globs of path prefixes, as in "*.corp.example")"},
      {config::check_verifier_key, 512, "^([^+]+[+][0-9a-f]{8}[+]A[A-Za-z0-9+/]{43})?$",
       "is not a verifier key; write name+hash+key as the checksum database publishes it"},
      {check_object_name, 253, "^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$",
       R"(is not a name; write lower-case letters, digits, '-' and '.', as in "default")"},
      {check_label_key, 317, "^([A-Za-z0-9._-]+/)?[A-Za-z0-9._-]+$",
       R"(is not a label's key; write one such as "topology.kubernetes.io/region")"},
      {check_label_value, 63, "^[A-Za-z0-9._-]*$", "is not a label's value; write letters, digits and -_. (at most 63)"},
      {check_absolute_path, 512, "^/.+$", kNotAPath, {{"!self.matches('/[.][.](/|$)')", kNotAPath}}},
      {check_selector_operator, 0, "", "", {}, {"In", "NotIn", "Exists", "DoesNotExist"}},
  };
  return kForms;
}

// The pattern as a raw literal of CEL.
std::string matches(std::string_view pattern) { return fmt::format("self.matches(r'{}')", pattern); }

struct DurationBounds {
  DurationCheck* check;
  std::string_view least, most;
  std::string_view message;
};

constexpr std::array<DurationBounds, 3> kDurations = {{
    {config::check_timeout, "1ms", "24h", "is out of bounds; write 1ms to 24h"},
    {config::check_age, "0s", "87600h", "is out of bounds; write 0s to 87600h"},
    {config::check_negative, "0s", "1m", "is out of bounds; write 0s to 1m, so that a new version is seen soon"},
}};

template <class Forms, class Check>
const auto& form_of(const Forms& forms, Check* check) {
  const auto found = std::find_if(std::begin(forms), std::end(forms), [&](const auto& form) { return form.check == check; });
  if (found == std::end(forms)) throw std::logic_error("a check of describe.hpp has no form in schema_forms.cpp");
  return *found;
}

struct Bound {
  std::string_view path;
  std::size_t longest;
};

constexpr std::array<Bound, 7> kLongestLists = {{
    {"go.private", 1024},
    {"go.deny", 1024},
    {"go.upstreams", 16},
    {"images.registries[].upstreams", 8},
    {"images.registries[].upstreams[].rewrite", 16},
    {"images.registries[].upstreams[].authHosts", 8},
    {"images.registries[].upstreams[].rollout.match", 16},
}};

constexpr std::array<std::string_view, 3> kWithoutDefault = {"storage.onDelete", "nodeConfig.mode", "nodeConfig.runtimes"};

}  // namespace

void add_rule(Json& schema, std::string_view rule, std::string_view message, std::string_view field_path) {
  Json added{{"rule", rule}, {"message", message}};
  if (!field_path.empty()) added["fieldPath"] = field_path;
  schema["x-kubernetes-validations"].push_back(std::move(added));
}

void add_text_form(Json& schema, TextCheck* check, Part part) {
  const TextForm& form = form_of(text_forms(), check);
  if (!form.names.empty()) {
    schema["enum"] = form.names;
    return;
  }
  schema["maxLength"] = form.longest;
  if (part == Part::kSpec && !form.pattern.empty()) add_rule(schema, matches(form.pattern), form.message);
  if (part == Part::kOverlay && !form.pattern.empty()) schema["pattern"] = form.pattern;
  for (const auto& rule : form.rules) {
    if (part == Part::kSpec || rule.in_overlays) add_rule(schema, rule.rule, rule.message);
  }
}

void add_duration_form(Json& schema, DurationCheck* check, Part part) {
  const DurationBounds& bounds = form_of(kDurations, check);
  schema["maxLength"] = kLongestQuantity;
  if (part == Part::kOverlay) {
    schema["pattern"] = kDurationPattern;
    return;
  }
  add_rule(schema, matches(kDurationPattern), R"(is not a duration; write a number with ms, s, m or h, as in "30s" or "1m30s")");
  add_rule(schema,
           fmt::format("!{} || duration(self) >= duration('{}') && duration(self) <= duration('{}')", matches(kDurationPattern),
                       bounds.least, bounds.most),
           bounds.message);
}

void add_size_form(Json& schema, SizeCheck* check, Part part) {
  if (check != config::check_size) throw std::logic_error("a check of sizes has no form in schema_forms.cpp");
  schema["maxLength"] = kLongestQuantity;
  if (part == Part::kOverlay) {
    schema["pattern"] = kSizePattern;
    schema["minimum"] = 1;
    return;
  }
  add_rule(schema, fmt::format("type(self) == int ? self >= 0 : {}", matches(kSizePattern)),
           R"(is not a size; write a number with Ki, Mi, Gi or Ti, as in "20Gi")");
  add_rule(schema, "type(self) == int ? self != 0 : !self.matches('^[0.]+[A-Za-z]*$')",
           R"(a size of 0 would store nothing; write one such as "20Gi")");
}

void add_percent_form(Json& schema, Part part) {
  schema["maxLength"] = kLongestQuantity;
  if (part == Part::kOverlay) {
    schema["pattern"] = kPercentPattern;
    return;
  }
  add_rule(schema, matches(kPercentPattern), "is not a percentage; write a whole number from 0% to 100%");
}

Json json_form(JsonCheck* check) {
  Json any{{"type", "object"}, {"x-kubernetes-preserve-unknown-fields", true}};
  if (check == check_object) return any;
  if (check == check_list) return {{"type", "array"}, {"maxItems", 64}, {"items", std::move(any)}};
  if (check != check_max_unavailable) throw std::logic_error("a check of passed-on values has no form in schema_forms.cpp");
  Json number{{"x-kubernetes-int-or-string", true}, {"maxLength", kLongestQuantity}};
  add_rule(number, fmt::format("type(self) == int ? self >= 0 : {}", matches(kPercentPattern)),
           R"(is neither a number of nodes nor a percentage; write 2 or "10%")");
  return number;
}

std::size_t longest_list(std::string_view path) {
  const auto found = std::find_if(kLongestLists.begin(), kLongestLists.end(), [&](const Bound& bound) { return bound.path == path; });
  return found == kLongestLists.end() ? 64 : found->longest;
}

bool may_have_default(std::string_view path) {
  return std::find(kWithoutDefault.begin(), kWithoutDefault.end(), path) == kWithoutDefault.end();
}

}  // namespace cistern::model::schema
