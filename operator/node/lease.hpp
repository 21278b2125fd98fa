// The node's Lease, by which the operator and people see how this node is: renewed at once when something has changed (twice a second at
// most), every two seconds while a change is under way here, and seldom when all is as it was, so that thousands of nodes cost the API
// server little.
#pragma once

#include <map>
#include <random>
#include <string>

#include "base/clock.hpp"
#include "operator/kube/client.hpp"
#include "operator/node/worker.hpp"

namespace cistern::node {

// cistern.dev/…: what a Lease says of a report.
std::map<std::string, std::string> annotations_of(const Report& report);

// One thread at a time.
class LeaseWriter {
 public:
  LeaseWriter(kube::Client& client, const Clock& clock, std::string ns, std::string node);

  // Writes it if that is due; `owner`: the Node's UID, with which the Lease goes; empty: not known yet. When to call again.
  SteadyTime round(const Report& report, const std::string& owner);
  // At once, whatever was written last.
  Result<void> write(const Report& report, const std::string& owner);

 private:
  kube::Client& client_;
  const Clock& clock_;
  const std::string ns_;
  const std::string node_;
  std::map<std::string, std::string> written_;
  bool ever_ = false;
  SteadyTime tried_at_{};
  SteadyTime due_{};
  std::string problem_;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace cistern::node
