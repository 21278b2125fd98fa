#include "operator/inspect/command.hpp"

#include <algorithm>
#include <cstdio>

#include "base/version.hpp"
#include "operator/kube/configuration.hpp"

namespace cistern::inspect {
namespace {

bool is_kind(const std::string& word) { return word == "node" || word == "namespace" || word == "ns" || word == "pod"; }

void print(const std::string& format, const std::string& text, const Json& json) {
  if (format == "json") {
    fmt::print("{}\n", json.dump(2));
  } else {
    fmt::print("{}", text);
  }
}

// The agent of a node, if there is one: it alone knows what is in force.
void ask_agent_on(Snapshot& snapshot, const std::string& node) {
  std::vector<const Json*> pods;
  {
    const World world(snapshot);
    const auto& group = world.desired().group_of(node);
    const Json* pod = group.empty() ? nullptr : world.agent_on(node, group);
    if (pod != nullptr) pods.push_back(pod);
  }
  if (!pods.empty()) ask_agents(snapshot, *reconcile::make_agent_probe(1), pods);
}

}  // namespace

Command::Command(CLI::App& app, CLI::App& explain, const std::vector<std::string>& words, std::string& format)
    : explain_(&explain),
      doctor_(app.add_subcommand("doctor", "Look for what keeps a cluster from using its caches, and say what to do")),
      words_(words),
      format_(format) {
  for (auto* command : {explain_, doctor_}) {
    command
        ->add_option("--kubeconfig", kubeconfig_,
                     "How the API server is reached; default: $KUBECONFIG, a pod's own account, ~/.kube/config")
        ->envname("CISTERN_KUBECONFIG");
    command->add_option("--namespace", ns_, "Where Cistern is")->envname("CISTERN_NAMESPACE")->capture_default_str();
    command->add_option("-o,--output", format, "text or json")->check(CLI::IsMember({"text", "json"}))->capture_default_str();
  }
  explain_->add_option("-n,--pod-namespace", pod_ns_, "The pod's; default: the kubeconfig's");
  explain_->add_flag("--all", wanted_.all, "Of a node, namespace or pod: the whole configuration, not only what matters for it");
}

std::optional<Result<int>> Command::execute() {
  if (doctor_->parsed()) return doctor();
  if (!explain_->parsed() || words_.empty() || !is_kind(words_.front())) return std::nullopt;
  return explain();
}

// The namespace of the context.
Result<std::string> Command::connect() {
  auto configuration = kube::find_configuration(kubeconfig_);
  if (!configuration) return fail(configuration.error());
  auto ns = configuration->ns.empty() ? "default" : configuration->ns;
  kube::ClientOptions options;
  options.user_agent = fmt::format("cistern-operator/{}", kVersion);
  auto client = kube::make_client(std::move(*configuration), options);
  if (!client) return fail(client.error());
  client_ = std::move(*client);
  return ns;
}

Result<int> Command::explain() {
  if (explain_->count("--policies") > 0) {
    return fail(ErrorCode::kInvalid, "--policies (or CISTERN_POLICIES) is for files; explain {} asks the cluster: leave it out",
                words_.front());
  }
  if (words_.size() < 2) return fail(ErrorCode::kInvalid, "explain {} needs a name", words_.front());
  auto ns = connect();
  if (!ns) return fail(ns.error());
  wanted_.fields.assign(words_.begin() + 2, words_.end());
  auto name = words_[1];
  if (!pod_ns_.empty()) ns = pod_ns_;
  const auto what = words_.front() == "ns" ? "namespace" : words_.front();
  if (const auto slash = name.find('/'); what == "pod" && slash != std::string::npos) {
    ns = name.substr(0, slash);
    name = name.substr(slash + 1);
  }
  const auto explained = explain_object(*client_, SystemClock(), ns_, what, *ns, name, wanted_);
  if (!explained) return fail(explained.error());
  print(format_, to_text(*explained), to_json(*explained));
  return 0;
}

Result<int> Command::doctor() {
  if (auto connected = connect(); !connected) return fail(connected.error());
  const auto lines = diagnose(*client_, SystemClock(), ns_);
  if (!lines) return fail(lines.error());
  print(format_, to_text(*lines), to_json(*lines));
  return has_problem(*lines) ? 1 : 0;
}

Result<Explained> explain_object(kube::Client& client, const Clock& clock, const std::string& own_namespace, const std::string& what,
                                 const std::string& ns, const std::string& name, const Wanted& wanted) {
  Json pod;
  if (what == "pod") {
    auto got = client.get(kube::kPods, {ns, name});
    if (!got) return fail(got.error());
    pod = std::move(*got);
  }
  auto snapshot = take_snapshot(client, clock, own_namespace, Scope::kExplain);
  if (!snapshot) return fail(snapshot.error());
  if (what != "namespace") ask_agent_on(*snapshot, what == "node" ? name : text(pod, {"spec", "nodeName"}));
  const World world(*snapshot);
  if (what == "node") return explain_node(world, name, wanted);
  return what == "pod" ? explain_pod(world, pod, wanted) : explain_namespace(world, name, wanted);
}

Result<Lines> diagnose(kube::Client& client, const Clock& clock, const std::string& own_namespace) {
  auto snapshot = take_snapshot(client, clock, own_namespace, Scope::kDoctor);
  if (!snapshot) return fail(snapshot.error());
  const auto agents = World(*snapshot).agents();
  if (!agents.empty()) ask_agents(*snapshot, *reconcile::make_agent_probe(), agents);
  return diagnose(World(*snapshot));
}

}  // namespace cistern::inspect
