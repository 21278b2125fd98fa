// Members of objects that others have made: what is missing, or of another type, reads as nothing. Pure.
#pragma once

#include <initializer_list>
#include <map>
#include <string>
#include <string_view>

#include "operator/kube/resource.hpp"
#include "operator/model/policy.hpp"

namespace cistern::inspect {

using kube::Json;

// The value at such a path of keys; null if there is none.
const Json& at(const Json& object, std::initializer_list<std::string_view> path);
// As text: empty if it is none.
std::string text(const Json& object, std::initializer_list<std::string_view> path);
// As a number that is not negative: 0 if it is none.
unsigned long number(const Json& object, std::initializer_list<std::string_view> path);

std::map<std::string, std::string> labels_of(const Json& object);
// The condition of that type in status.conditions; null if there is none.
const Json& condition(const Json& object, std::string_view type);

// A LabelSelector of the API.
model::LabelSelector selector_of(const Json& selector);
// "a=b, c in (d, e), !f"; "everything" for an empty one.
std::string in_words(const model::LabelSelector& selector);

}  // namespace cistern::inspect
