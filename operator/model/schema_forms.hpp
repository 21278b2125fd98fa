// What the CRD's schema says of values, rules that span fields, and descriptions: the tables behind schema.cpp.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/units.hpp"
#include "yaml/node.hpp"

namespace cistern::model::schema {

using yaml::Json;

// `spec`, or an overlay: see schema.hpp.
enum class Part { kSpec, kOverlay };

// Each adds what the check (of describe.hpp) demands to the schema of a value. A check that is not known here is a mistake in this program
// and throws std::logic_error, which the tests find.
using TextCheck = Result<void>(const std::string&);
using DurationCheck = Result<void>(const std::chrono::milliseconds&);
using SizeCheck = Result<void>(const Bytes&);
using JsonCheck = Result<void>(const Json&);
void add_text_form(Json& schema, TextCheck* check, Part part);
void add_duration_form(Json& schema, DurationCheck* check, Part part);
void add_size_form(Json& schema, SizeCheck* check, Part part);
void add_percent_form(Json& schema, Part part);
// The whole schema of a value that is passed on as it is.
Json json_form(JsonCheck* check);

// Adds a CEL rule. `field_path` says at which member (".upstreams") an error is shown; empty: at the value itself.
void add_rule(Json& schema, std::string_view rule, std::string_view message, std::string_view field_path = {});

// Bounds of a list's, map's or text's size that keep CEL's estimated cost within its budget; by path, as in "go.upstreams[].match".
std::size_t longest_list(std::string_view path);
inline constexpr std::size_t kLongestMap = 64;
inline constexpr std::size_t kLongestText = 1024;
inline constexpr std::size_t kMostOverlays = 32;

// False for fields that are accepted and not in force yet: a policy that writes one is told so, and a default would have it written.
bool may_have_default(std::string_view path);

// Rules that span the members of the map at `path` (empty: the settings themselves).
void add_rules_of(std::string_view path, Json& schema, Part part);

// One or two sentences for `kubectl explain`. Paths as above, "status.…" for the status. std::logic_error if there is none.
std::string_view description(std::string_view path);

// Everything below status.
Json status_schema();

}  // namespace cistern::model::schema
