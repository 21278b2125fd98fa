// Who owns something and where its values come from, in words. Used within this folder. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "operator/inspect/explain.hpp"

namespace cistern::inspect {

// "policy": the owner and why; "also selected by": the others. Empty where no policy selects it.
std::vector<Fact> owner_facts(const World& world, const std::vector<const model::Policy*>& selecting);

// Why no policy owns what has these labels.
Cause no_owner(const World& world, const char* field, model::LabelSelector model::Spec::*selector);

// How a region or profile was found.
Fact choice_fact(const char* kind, const model::Choice& choice, const std::map<std::string, yaml::Node>& defined,
                 const std::map<std::string, std::string>& labels);

// The policy's values in a region and a profile; each origin is "default", "policy P", "policy P, region R" or "policy P, profile F".
// `usual`: the fields that count where none is wanted.
Result<std::vector<plan::Explanation>> settings_of(const model::Policy& policy, const std::string& region, const std::string& profile,
                                                   const std::vector<std::string>& usual, const Wanted& wanted);

// The names of those of these lists that could not be read.
std::vector<std::string> unread_of(std::initializer_list<const Listed*> lists);

// What must be readable for an answer.
Result<void> check_readable(const World& world);

}  // namespace cistern::inspect
