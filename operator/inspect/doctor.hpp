// The known ways in which a cache is silently not used, looked for one after the other. Pure: each check is a function of a World.
#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "operator/inspect/world.hpp"

namespace cistern::inspect {

// kUnknown: it could not be told from here.
enum class Level { kOk, kWarning, kProblem, kUnknown };

struct Line {
  Level level = Level::kOk;
  std::string check;    // "webhook"
  std::string message;  // what holds; no full stop
  std::string todo;     // what to do; empty where nothing is to be done
};
using Lines = std::vector<Line>;

// Objects of which the same is to be said share one line: "nodes a, b, c and 7 more: …".
class Grouped {
 public:
  Grouped(std::string check, std::string kind) : check_(std::move(check)), kind_(std::move(kind)) {}
  void add(Level level, const std::string& name, const std::string& message, const std::string& todo = {});
  bool empty() const { return names_.empty(); }
  void append_to(Lines& lines) const;

 private:
  std::string check_, kind_;  // "node"
  std::map<std::tuple<Level, std::string, std::string>, std::vector<std::string>> names_;
};

Lines check_api_server(const World& world);  // its version, our CRD, what could not be read
Lines check_operator(const World& world);    // Deployment, leader, an uninstallation that has been begun
Lines check_policies(const World& world);    // conditions, selectors, strict registries
Lines check_references(const World& world);  // Secrets and ConfigMaps that policies name
Lines check_nodes(const World& world);       // nodes without a policy, Leases, labels
Lines check_node_program(const World& world);
Lines check_agents(const World& world);
Lines check_host_ports(const World& world);
Lines check_services(const World& world);  // by which pods find agents
Lines check_webhook(const World& world);
Lines check_certificate(const World& world);  // the webhook's
Lines check_namespaces(const World& world);   // opted out, left out, their ConfigMaps
Lines check_dns(const World& world);

// All of them, in this order.
Lines diagnose(const World& world);

// One line each, and how many there are of each kind.
std::string to_text(const Lines& lines);
Json to_json(const Lines& lines);
bool has_problem(const Lines& lines);

// What a pod's state says of why it is not ready: "ImagePullBackOff: …"; empty if it is ready.
std::string why_not_ready(const reconcile::AgentPod& pod);
// What a policy's object says: the messages of the conditions that are bad, once for each reason.
Lines bad_conditions(const Json& policy);

}  // namespace cistern::inspect
