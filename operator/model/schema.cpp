#include "operator/model/schema.hpp"

#include <algorithm>
#include <concepts>

#include "operator/model/describe.hpp"
#include "operator/model/schema_forms.hpp"
#include "operator/model/validate.hpp"

namespace cistern::model {
namespace {

using schema::Part;

// Follows a description as yaml::Reader and yaml::Writer do, and makes a schema of it.
class Schema {
 public:
  struct Place {
    std::string path;  // below spec, with [] for a list's items: "go.upstreams[].match"
    Part part = Part::kSpec;
    bool region = false;
  };

  // `defaults`: the described struct as it is without any document.
  Schema(Place place, Json defaults) : place_(std::move(place)), defaults_(std::move(defaults)) {}

  template <class T, class Check = yaml::NoCheck>
  void field(std::string_view name, T&& value, const Check& check = {}) {
    put(name, [&](const Place& place) { return value_schema(place, value, check); });
  }

  template <class T, class Check = yaml::NoCheck>
  void required(std::string_view name, T&& value, const Check& check = {}) {
    field(name, value, check);
    // Registries of overlays are merged by their name.
    if (place_.part == Part::kSpec || place_.path == "images.registries[]") required_.emplace_back(name);
  }

  template <class Describe>
  void group(std::string_view name, const Describe& describe_members) {
    put(name, [&](const Place& place) {
      Schema members(place, defaults_.value(name, Json::object()));
      describe_members(members);
      return members.finish();
    });
  }

  // Of a whole struct.
  template <class T>
  static Json of(const Place& place, T value) {
    Schema members(place, yaml::write(value, yaml::Write::kAll));
    describe(members, value);
    return members.finish();
  }

  Json finish() {
    Json object{{"type", "object"}, {"properties", std::move(properties_)}};
    if (!required_.empty()) object["required"] = required_;
    schema::add_rules_of(place_.path, object, place_.part);
    return object;
  }

 private:
  template <class Make>
  void put(std::string_view name, const Make& make) {
    const Place place{yaml::join_path(place_.path, name), place_.part, place_.region};
    if (place.region && std::find(kNotInRegions.begin(), kNotInRegions.end(), place.path) != kNotInRegions.end()) return;
    Json made = make(place);
    Json property;
    if (place.part == Part::kSpec) {
      property["description"] = schema::description(place.path);
      const auto found = defaults_.find(name);
      const bool map = made.value("type", "") == "object";
      if (found != defaults_.end() && !map && !found->empty() && *found != "" && schema::may_have_default(place.path)) {
        property["default"] = *found;
      }
    }
    property.update(made);
    properties_[std::string(name)] = std::move(property);
  }

  template <class T, class Check>
  static Json value_schema(const Place& place, const T& value, const Check& check) {
    if constexpr (yaml::detail::kIsOptional<T>) {
      const typename T::value_type item{};
      return value_schema(place, item, check);
    } else if constexpr (yaml::detail::kIsVector<T>) {
      const typename T::value_type item{};
      return list_schema(place, item, check);
    } else if constexpr (std::same_as<T, std::map<std::string, yaml::Node>>) {
      const Place overlay{"", Part::kOverlay, place.path == "regions"};
      const Settings settings;
      return {{"type", "object"}, {"additionalProperties", of(overlay, settings)}, {"maxProperties", schema::kMostOverlays}};
    } else if constexpr (yaml::detail::kIsMap<T>) {
      const typename T::mapped_type item{};
      return {{"type", "object"}, {"additionalProperties", value_schema(place, item, check)}, {"maxProperties", schema::kLongestMap}};
    } else if constexpr (yaml::detail::Scalar<T> || std::is_enum_v<T>) {
      return scalar_schema(place, value, check);
    } else {
      return of(place, value);
    }
  }

  template <class Item, class Check>
  static Json list_schema(const Place& place, const Item& item, const Check& check) {
    Json list{{"type", "array"},
              {"maxItems", schema::longest_list(place.path)},
              {"items", value_schema({place.path + "[]", place.part, place.region}, item, check)}};
    if (place.path == "images.registries") {
      list["x-kubernetes-list-type"] = "map";
      list["x-kubernetes-list-map-keys"] = Json::array({"name"});
    }
    schema::add_rules_of(place.path, list, place.part);
    return list;
  }

  template <class T, class Check>
  static Json scalar_schema(const Place& place, const T&, const Check& check) {
    if constexpr (std::is_enum_v<T>) {
      Json names = Json::array();
      for (const auto& [value, name] : enum_names(T{})) names.push_back(name);
      return {{"type", "string"}, {"enum", names}};
    } else if constexpr (std::same_as<T, bool>) {
      return {{"type", "boolean"}};
    } else if constexpr (std::same_as<T, double>) {
      return {{"type", "number"}, {"minimum", 0}};
    } else if constexpr (std::same_as<T, int>) {
      return {{"type", "integer"}, {"format", "int32"}};
    } else if constexpr (std::same_as<T, unsigned>) {
      Json number{{"type", "integer"}, {"format", "int32"}, {"minimum", 0}};
      if constexpr (std::same_as<Check, config::Between>) {
        number["minimum"] = check.low;
        number["maximum"] = check.high;
      }
      return number;
    } else if constexpr (std::same_as<T, yaml::Percent>) {
      Json text{{"type", "string"}};
      schema::add_percent_form(text, place.part);
      return text;
    } else if constexpr (std::same_as<T, milliseconds>) {
      Json text{{"type", "string"}};
      schema::add_duration_form(text, check, place.part);
      return text;
    } else if constexpr (std::same_as<T, Bytes>) {
      Json size{{"x-kubernetes-int-or-string", true}};
      schema::add_size_form(size, check, place.part);
      return size;
    } else if constexpr (std::same_as<T, Json>) {
      return schema::json_form(check);
    } else {
      static_assert(std::same_as<T, std::string>);
      Json text{{"type", "string"}};
      if constexpr (std::same_as<Check, yaml::NoCheck>) {
        text["maxLength"] = schema::kLongestText;
      } else {
        schema::add_text_form(text, check, place.part);
      }
      return text;
    }
  }

  Place place_;
  Json defaults_;
  Json properties_ = Json::object();
  std::vector<std::string> required_;
};

Json column(const char* name, const char* type, const char* path, const char* text, int priority = 0) {
  Json made{{"name", name}, {"type", type}, {"description", text}, {"jsonPath", path}};
  if (priority != 0) made["priority"] = priority;
  return made;
}

Json version() {
  Json root{{"type", "object"},
            {"description", schema::description("")},
            {"required", Json::array({"spec"})},
            {"properties",
             {{"apiVersion", {{"type", "string"}}},
              {"kind", {{"type", "string"}}},
              {"metadata", {{"type", "object"}}},
              {"spec", Json{{"description", schema::description("spec")}}},
              {"status", schema::status_schema()}}}};
  root["x-kubernetes-validations"] = Json::array(
      {{{"rule", fmt::format("size(self.metadata.name) <= {}", kLongestPolicyName)},
        {"message", fmt::format("metadata.name: what is made for a policy is labelled with its name, which has at most {} characters",
                                kLongestPolicyName)}}});
  const Spec spec;
  root["properties"]["spec"].update(Schema::of({}, spec));
  return {{"name", "v1alpha1"},
          {"served", true},
          {"storage", true},
          {"subresources", {{"status", Json::object()}}},
          {"additionalPrinterColumns",
           Json::array(
               {column("Ready", "string", ".status.conditions[?(@.type==\"Ready\")].status", "Whether the agents are ready and in force"),
                column("Agents", "string", ".status.agents.summary", "Ready agents, of those that there should be"),
                column("Nodes", "integer", ".status.nodes.selected", "Nodes whose policy this is"),
                column("Hit ratio", "string", ".status.cache.hitRatio", "Share of requests answered from the caches"),
                column("Age", "date", ".metadata.creationTimestamp", "When the policy was made"),
                column("Message", "string", ".status.conditions[?(@.type==\"Ready\")].message", "Why it is or is not ready", 1)})},
          {"schema", {{"openAPIV3Schema", std::move(root)}}}};
}

}  // namespace

Json custom_resource_definition() {
  return {{"apiVersion", "apiextensions.k8s.io/v1"},
          {"kind", "CustomResourceDefinition"},
          {"metadata",
           {{"name", "mirrorpolicies.cistern.dev"},
            // Policies would go with it.
            {"annotations", {{"helm.sh/resource-policy", "keep"}}}}},
          {"spec",
           {{"group", "cistern.dev"},
            {"scope", "Cluster"},
            {"names",
             {{"kind", "MirrorPolicy"},
              {"listKind", "MirrorPolicyList"},
              {"plural", "mirrorpolicies"},
              {"singular", "mirrorpolicy"},
              {"shortNames", Json::array({"mp"})},
              {"categories", Json::array({"cistern"})}}},
            {"versions", Json::array({version()})}}}};
}

std::string custom_resource_definition_yaml() {
  return "# Made by `cistern-operator crd`; change operator/model/describe.hpp instead.\n" + yaml::emit(custom_resource_definition());
}

}  // namespace cistern::model
