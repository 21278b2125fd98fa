// What policies refer to, as files of a group's Secret. Used by manifests.cpp only.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "operator/render/agent.hpp"
#include "operator/render/manifests.hpp"

namespace cistern::render {

// Collects the files that the agent's file names, and what could not be followed. A Secret or ConfigMap is used where the agent would
// take it; the others are missing, with what to do.
class SecretFiles final : public ReferencePlaces {
 public:
  SecretFiles(const References& references, const std::string& ns) : references_(references), ns_(ns) {}

  std::string credentials(const ReferenceUse& use) override;
  std::string ca(const ReferenceUse& use) override;

  std::map<std::string, std::string>& files() { return files_; }
  std::vector<MissingReference> take_missing() { return std::move(missing_); }

 private:
  std::string miss(const ReferenceUse& use, const std::string& field, const std::string& reason);

  const References& references_;
  const std::string& ns_;
  std::map<std::string, std::string> files_;
  std::vector<MissingReference> missing_;
};

}  // namespace cistern::render
