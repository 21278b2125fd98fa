// Quantities ("1000m", "1024Mi") as the API server gives them back, which a live object is compared with. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace cistern::render {

// "1000m" → "1", "1024Mi" → "1Gi", "1.5Gi" → "1536Mi", "0.0001" → "1m": a form that the API server leaves as it is, by the rules of
// k8s.io/apimachinery's Quantity, rounded up to thousandths as resources are. What is no quantity, negative or beyond 2^63 stays as it is:
// the API server has its own words for it.
std::string canonical_quantity(std::string_view text);

// `resources` of a container, with the quantities of requests and limits in that form.
nlohmann::json canonical_resources(nlohmann::json resources);

// A part of a pod's specification that a user wrote, without members that say nothing ("", null, []), which the API server drops.
nlohmann::json without_empty_members(const nlohmann::json& part);

}  // namespace cistern::render
