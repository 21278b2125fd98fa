// What is put into a new pod. Pure: it looks at a snapshot and at the pod, and at nothing else. A pod is never refused.
//
// Which pods: the namespace is owned by a policy, is none of the system's and not ours; `injection.mode` and the label cistern.dev/inject
// (the pod's over the namespace's) agree; the policy's Service has a ready endpoint; the pod asks the cluster's DNS (or is itself labelled
// "true"), since the Service is known by name. Never a static pod's mirror, which is only an image of what runs.
//
// What: the policy's variables, under the pod's profile, in `env` of containers and init containers (ephemeral ones come by another verb).
// What a container sets by itself stays, unless `injection.overwrite`; one with a GOPROXY of its own gets none of Go's variables, which
// belong together. A container that has `envFrom` may set them there, which can not be seen here; so it gets ours as its first `envFrom`,
// from a ConfigMap, where later ones win. Three annotations tell what was done.
//
// Deciding again on what was decided changes nothing: the API server asks again when another webhook has changed the pod.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "operator/admission/rules.hpp"

namespace cistern::admission {

struct Decision {
  Json patch = Json::array();          // RFC 6902, of the whole pod; empty: it stays as it is
  std::string policy;                  // that owns the namespace; empty: none
  std::string profile;                 // empty: none
  std::vector<std::string> variables;  // put in now, in one container at least; sorted
  std::string why_not;                 // where `patch` is empty: one sentence, and where it helps what to do
  std::vector<std::string> notes;      // what else is worth knowing: "container build sets GOPROXY itself"
};

// `pod` is a v1 Pod, of which any part may be missing or malformed; of `ns`, whatever the pod says.
Decision decide(const Rules& rules, const std::string& ns, const Json& pod);

}  // namespace cistern::admission
