// The status, which operator/reconcile writes.
#include "operator/model/schema_forms.hpp"

#include <fmt/format.h>

namespace cistern::model::schema {
namespace {

constexpr std::size_t kMostGroups = 16;
constexpr std::size_t kMostRegistries = 16;
constexpr std::size_t kLongestMessage = 32768;

Json described(std::string_view path, const Json& schema) {
  Json made{{"description", description(path)}};
  made.update(schema);
  return made;
}

Json count(std::string_view path, const char* format = "int32") {
  return described(path, {{"type", "integer"}, {"format", format}, {"minimum", 0}});
}

Json text(std::string_view path) { return described(path, {{"type", "string"}, {"maxLength", kLongestText}}); }

// As metav1.Condition.
Json conditions() {
  Json condition{{"type", "object"},
                 {"required", Json::array({"type", "status", "lastTransitionTime", "reason", "message"})},
                 {"properties",
                  {{"type", {{"type", "string"}, {"maxLength", 316}}},
                   {"status", {{"type", "string"}, {"enum", Json::array({"True", "False", "Unknown"})}}},
                   {"observedGeneration", {{"type", "integer"}, {"format", "int64"}, {"minimum", 0}}},
                   {"lastTransitionTime", {{"type", "string"}, {"format", "date-time"}}},
                   {"reason", {{"type", "string"}, {"maxLength", 1024}, {"minLength", 1}}},
                   {"message", {{"type", "string"}, {"maxLength", kLongestMessage}}}}}};
  return described("status.conditions", {{"type", "array"},
                                         {"maxItems", 16},
                                         {"x-kubernetes-list-type", "map"},
                                         {"x-kubernetes-list-map-keys", Json::array({"type"})},
                                         {"items", std::move(condition)}});
}

Json groups() {
  const auto path = [](const char* name) { return fmt::format("status.groups[].{}", name); };
  Json group{{"type", "object"},
             {"required", Json::array({"name"})},
             {"properties",
              {{"name", text(path("name"))},
               {"region", text(path("region"))},
               {"profile", text(path("profile"))},
               {"nodes", count(path("nodes"))},
               {"ready", count(path("ready"))},
               {"configHash", text(path("configHash"))}}}};
  return described("status.groups", {{"type", "array"},
                                     {"maxItems", kMostGroups},
                                     {"x-kubernetes-list-type", "map"},
                                     {"x-kubernetes-list-map-keys", Json::array({"name"})},
                                     {"items", std::move(group)}});
}

}  // namespace

Json status_schema() {
  const auto object = [](std::string_view path, Json properties) {
    return described(path, {{"type", "object"}, {"properties", std::move(properties)}});
  };
  Json nodes = Json::object();
  for (const auto* name : {"selected", "configured", "drifted", "failed", "unsupported", "stale", "isolated"})
    nodes[name] = count(fmt::format("status.nodes.{}", name));
  nodes["keptInFallback"] =
      described("status.nodes.keptInFallback",
                {{"type", "array"}, {"maxItems", kMostRegistries}, {"items", {{"type", "string"}, {"maxLength", kLongestText}}}});
  Json properties{{"observedGeneration", count("status.observedGeneration", "int64")},
                  {"conditions", conditions()},
                  {"agents", object("status.agents", {{"desired", count("status.agents.desired")},
                                                      {"ready", count("status.agents.ready")},
                                                      {"summary", text("status.agents.summary")}})},
                  {"nodes", object("status.nodes", std::move(nodes))},
                  {"cache", object("status.cache", {{"hitRatio", text("status.cache.hitRatio")},
                                                    {"storedBytes", count("status.cache.storedBytes", "int64")},
                                                    {"upstreamBytesSaved", count("status.cache.upstreamBytesSaved", "int64")}})},
                  {"groups", groups()},
                  {"groupsOmitted", count("status.groupsOmitted")}};
  return object("status", std::move(properties));
}

}  // namespace cistern::model::schema
