// What a node, a namespace or a pod gets of its policies, where each value comes from, what of it is in force, and if a cache is not used,
// why and what to do. Pure.
#pragma once

#include <string>
#include <vector>

#include "operator/inspect/causes.hpp"
#include "operator/plan/explain.hpp"

namespace cistern::inspect {

struct Fact {
  std::string name;
  std::string value;
  std::string origin;  // where it comes from, or what else is to be said of it; may be empty
};

// Whether one kind of thing comes through the cache.
struct Verdict {
  std::string of;                   // "images", "Go modules"
  Causes causes;                    // none that stops it: it does …
  std::vector<std::string> unread;  // … unless what could not be read says otherwise

  bool used() const;
};

struct Explained {
  std::string kind;  // "node"
  std::string name;
  std::vector<Fact> policy;                 // who owns it, and why
  std::vector<plan::Explanation> settings;  // the effective configuration
  std::vector<Fact> applied;                // what is in force now
  std::vector<Verdict> verdicts;
  std::vector<std::string> unread;  // what could not be read
};

// Which of the effective configuration: these fields (as in plan::explain); without any what matters for the object, or all.
struct Wanted {
  std::vector<std::string> fields;
  bool all = false;
};

// kNotFound: there is no such object; kInvalid: no such field; kForbidden and others: what has to be known could not be read.
Result<Explained> explain_node(const World& world, const std::string& name, const Wanted& wanted);
Result<Explained> explain_namespace(const World& world, const std::string& name, const Wanted& wanted);
Result<Explained> explain_pod(const World& world, const Json& pod, const Wanted& wanted);

std::string to_text(const Explained& explained);
Json to_json(const Explained& explained);

}  // namespace cistern::inspect
