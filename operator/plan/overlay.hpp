// What the plans of a machine and of a cluster have in common: a policy under its overlays, and what they say of fields that are not in
// force. Used within this folder.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "operator/model/merge.hpp"
#include "operator/plan/machine.hpp"

namespace cistern::plan {

// The policy in a region and a profile (each may be empty), checked; what is wrong goes to `problems`.
model::Effective with_overlays(const model::Policy& policy, const std::string& region, const std::string& profile,
                               yaml::Problems& problems);

// The node at such a path of map keys below `node`; null if there is none.
const yaml::Node* find_field(const yaml::Node& node, std::string_view path);

class Noticer {
 public:
  // `scope`: where or when it is not in force, as in "in standalone mode", "yet".
  Noticer(std::vector<Notice>& notices, std::string scope) : notices_(notices), scope_(std::move(scope)) {}

  // Once, however often it is said.
  void add(const yaml::Node& node, const std::string& path, const std::string& reason);
  // If it is written. `field` is below `node`, which is at `path`.
  void field(const yaml::Node& node, const std::string& path, const std::string& field, const std::string& reason);
  // Of the Go upstreams below `node`, which is at `path`.
  // A policy without any upstream.
  void serves_nothing(const model::Policy& policy);

  // The view of a profile, if the agent can have it: /go/ itself (`base`) and the view must each have an upstream.
  void view(const model::Policy& policy, const std::string& profile, const model::Go& base, const model::Go& seen,
            std::vector<View>& views);

 private:
  std::vector<Notice>& notices_;
  std::string scope_;
};

}  // namespace cistern::plan
