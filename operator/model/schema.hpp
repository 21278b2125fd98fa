// The CustomResourceDefinition of MirrorPolicy, made from the same descriptions (describe.hpp) by which policies are read: names, types,
// bounds and defaults are written once. crds/ holds the output; a test compares.
//
// Two schemas come from one description. `spec` has what a policy must have, and the defaults of the structs' initialisers. The overlays
// (`regions`, `profiles`) have neither, as defaults in an overlay would overrule what `spec` says; and a region lacks the fields that a
// region may not set, so that the API server refuses them by their path.
//
// Defaults in `spec` lie below every overlay, as they do in `plan`, and are equal to those that `plan` would fill in; so they change
// nothing but what `kubectl get -o yaml` shows. Only values have one, never maps: an empty map as a default would make a policy appear to
// have written what it did not (`rollout`, `peers`), and a reference to nothing. Empty text and empty lists are left out as they say
// nothing.
//
// What the schema can say of a value is in schema_forms.cpp, what spans several fields in schema_rules.cpp, descriptions in
// schema_texts.cpp. CEL rules use the words of the model's own validation. In overlays, whose number multiplies a rule's estimated cost, a
// pattern stands for the rule where there is one. A null can not be refused: the API server drops it from maps before it validates.
//
// Pure; any thread.
#pragma once

#include <string>

#include "yaml/node.hpp"

namespace cistern::model {

yaml::Json custom_resource_definition();
// The same as YAML, with a first line that says where it comes from.
std::string custom_resource_definition_yaml();

}  // namespace cistern::model
