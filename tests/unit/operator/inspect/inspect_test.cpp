#include <gmock/gmock.h>

#include "operator/admission/certificates.hpp"
#include "operator/inspect/certificates.hpp"
#include "tests/unit/operator/inspect/cluster.hpp"

namespace cistern::inspect {
namespace {

using test::Cluster;
using testing::Each;
using testing::HasSubstr;
using testing::SizeIs;

// Answers as told, and counts.
class FakeProbe final : public reconcile::AgentProbe {
 public:
  explicit FakeProbe(bool answers) : answers_(answers) {}
  std::vector<Result<reconcile::AgentReport>> ask(const std::vector<std::string>& addresses, std::uint16_t,
                                                  std::chrono::milliseconds) override {
    asked += addresses.size();
    if (answers_) return {addresses.size(), reconcile::AgentReport()};
    return {addresses.size(), fail(ErrorCode::kTimeout, "no answer")};
  }
  std::size_t asked = 0;

 private:
  bool answers_;
};

std::vector<Json> pods(std::size_t count) {
  std::vector<Json> made;
  for (std::size_t i = 0; i < count; ++i) {
    made.push_back({{"metadata", {{"name", "p"}, {"uid", std::to_string(i)}}}, {"status", {{"phase", "Running"}, {"podIP", "10.0.0.1"}}}});
  }
  return made;
}

std::vector<const Json*> pointers(const std::vector<Json>& all) {
  std::vector<const Json*> made;
  for (const auto& one : all) made.push_back(&one);
  return made;
}

TEST(AskAgents, stops_after_a_few_that_do_not_answer) {
  Snapshot snapshot;
  FakeProbe silent(false);
  const auto all = pods(50);
  ask_agents(snapshot, silent, pointers(all));
  EXPECT_EQ(silent.asked, 3u);
  EXPECT_THAT(snapshot.answers, SizeIs(3));
}

TEST(AskAgents, asks_all_where_one_answers_but_none_that_does_not_run) {
  Snapshot snapshot;
  FakeProbe open(true);
  auto all = pods(50);
  all[7]["status"]["phase"] = "Pending";
  ask_agents(snapshot, open, pointers(all));
  EXPECT_EQ(open.asked, 49u);
  EXPECT_THAT(snapshot.answers, SizeIs(49));
}

TEST(Doctor, a_problem_alone_makes_the_exit_code_bad) {
  EXPECT_FALSE(has_problem({{Level::kOk, "a", "b", ""}, {Level::kWarning, "a", "b", ""}, {Level::kUnknown, "a", "b", ""}}));
  EXPECT_TRUE(has_problem({{Level::kOk, "a", "b", ""}, {Level::kProblem, "a", "b", ""}}));
}

TEST(Doctor, json_has_each_line_and_the_numbers) {
  Cluster cluster;
  cluster.snapshot.dns_pods.items.clear();
  const auto json = to_json(diagnose(World(cluster.snapshot)));
  EXPECT_EQ(json["problems"], 0);
  EXPECT_EQ(json["warnings"], 1);
  const auto warning = std::ranges::find_if(json["checks"], [](const Json& line) { return line["level"] == "warning"; });
  ASSERT_NE(warning, json["checks"].end());
  EXPECT_EQ((*warning)["check"], "dns");
  EXPECT_THAT((*warning)["todo"].get<std::string>(), HasSubstr("CoreDNS"));
}

TEST(Doctor, many_nodes_with_the_same_trouble_are_one_line) {
  Cluster cluster;
  for (int i = 0; i < 1000; ++i) {
    cluster.snapshot.nodes.items.push_back(
        test::yaml("{metadata: {name: n" + std::to_string(i) + "}, status: {conditions: [{type: Ready, status: \"True\"}]}}"));
  }
  const auto lines = diagnose(World(cluster.snapshot));
  EXPECT_THAT(lines, testing::SizeIs(testing::Le(25)));
  EXPECT_TRUE(std::ranges::any_of(
      lines, [](const Line& line) { return line.message.find("and 995 more: there is no agent") != std::string::npos; }));
}

TEST(Doctor, looks_at_thousands_of_nodes_in_a_moment) {
  Cluster cluster;
  auto& all = cluster.snapshot;
  const auto copies = [](Listed& list, const std::string& of, const auto& change) {
    const Json original = Cluster::in(list, of);
    for (int i = 0; i < 3000; ++i) {
      auto copy = original;
      const auto node = "n" + std::to_string(i);
      change(copy, node);
      list.items.push_back(std::move(copy));
    }
  };
  copies(all.nodes, "worker-2", [](Json& copy, const std::string& node) { copy["metadata"]["name"] = node; });
  copies(all.leases, "cistern-node-worker-2",
         [](Json& copy, const std::string& node) { copy["metadata"]["name"] = "cistern-node-" + node; });
  for (const auto* pod : {"cistern-default-worker-2", "cistern-node-worker-2"}) {
    copies(all.pods, pod, [](Json& copy, const std::string& node) { copy["spec"]["nodeName"] = node; });
  }
  const auto begun = std::chrono::steady_clock::now();
  const auto lines = diagnose(World(all));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(20)) << "it takes a fraction of that unless it is quadratic";
  EXPECT_TRUE(std::ranges::any_of(lines, [](const Line& line) { return line.message == "3002 nodes as their policies say"; }));
  EXPECT_TRUE(std::ranges::any_of(lines, [](const Line& line) { return line.check == "agents" && line.message == "ready on 3002 nodes"; }));
}

TEST(Explain, json_tells_whether_each_cache_is_used_and_why_not) {
  Cluster cluster;
  cluster.annotate_lease("worker-1", "state", "Unsupported");
  cluster.annotate_lease("worker-1", "message", "no config_path");
  const auto explained = explain_pod(World(cluster.snapshot), cluster.pod, {{"go.upstreams"}, false});
  ASSERT_TRUE(explained) << explained.error().message;
  const auto json = to_json(*explained);
  EXPECT_EQ(json["kind"], "pod");
  EXPECT_EQ(json["name"], "shop/build");
  EXPECT_EQ(json["caches"][0]["of"], "Go modules");
  EXPECT_EQ(json["caches"][0]["used"], true);
  EXPECT_EQ(json["caches"][1]["used"], false);
  EXPECT_EQ(json["caches"][1]["causes"][0]["why"], "node worker-1: no config_path");
  EXPECT_THAT(json["settings"].dump(),
              HasSubstr(R"({"origin":"policy default","path":"spec.go.upstreams[0].url","value":"https://goproxy.example"})"));
}

TEST(Explain, values_come_from_the_policy_its_overlay_or_the_defaults) {
  Cluster cluster;
  const World world(cluster.snapshot);
  const auto value = [&](const std::string& node, const std::string& field) {
    const auto explained = explain_node(world, node, {{field}, false});
    if (!explained) return explained.error().message;
    return explained->settings.front().value + " # " + explained->settings.front().origin;
  };
  EXPECT_EQ(value("worker-1", "storage.size"), "\"100Gi\" # policy default, region eu");
  EXPECT_EQ(value("worker-2", "storage.size"), "\"50Gi\" # policy default");
  EXPECT_EQ(value("worker-2", "storage.minFree"), "\"15%\" # default");
}

TEST(Explain, a_default_that_the_api_server_wrote_counts_as_default) {
  Cluster cluster;
  auto& spec = Cluster::in(cluster.snapshot.policies, "default")["spec"];
  spec["retries"] = 3;
  spec["images"]["registries"][1]["tagTTL"] = "5m";
  spec["images"]["registries"][0]["tagTTL"] = "6m";
  const auto explained = explain_node(World(cluster.snapshot), "worker-1", {{"retries", "images"}, false});
  ASSERT_TRUE(explained) << explained.error().message;
  std::map<std::string, std::string> origins;
  for (const auto& setting : explained->settings) origins[setting.path] = setting.origin;
  EXPECT_EQ(origins["spec.retries"], "default");
  EXPECT_EQ(origins["spec.images.registries[0].tagTTL"], "policy default");
  EXPECT_EQ(origins["spec.images.registries[1].tagTTL"], "default");
}

TEST(Explain, what_is_not_there_is_said) {
  Cluster cluster;
  const World world(cluster.snapshot);
  EXPECT_EQ(explain_node(world, "nobody", {}).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(explain_namespace(world, "nobody", {}).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(explain_node(world, "worker-1", {{"no.such.field"}, false}).error().code, ErrorCode::kInvalid);
}

TEST(Explain, who_may_not_list_policies_is_told_so) {
  Cluster cluster;
  cluster.forbid(cluster.snapshot.policies);
  const auto explained = explain_node(World(cluster.snapshot), "worker-1", {});
  ASSERT_FALSE(explained);
  EXPECT_EQ(explained.error().code, ErrorCode::kForbidden);
  EXPECT_THAT(explained.error().message, HasSubstr("mirrorpolicies have to be readable"));
}

TEST(Explain, pods_of_the_systems_namespaces_are_never_changed) {
  Cluster cluster;
  const auto explained = explain_namespace(World(cluster.snapshot), "kube-system", {});
  ASSERT_TRUE(explained);
  EXPECT_FALSE(explained->verdicts.front().used());
  EXPECT_THAT(explained->verdicts.front().causes.front().why, HasSubstr("never changed"));
}

TEST(Explain, a_registry_that_the_policy_does_not_name_is_pulled_past_the_cache) {
  Cluster cluster;
  cluster.pod["spec"]["containers"][0]["image"] = "registry.example:5000/team/app:1";
  const auto explained = explain_pod(World(cluster.snapshot), cluster.pod, {});
  ASSERT_TRUE(explained);
  const auto& images = explained->verdicts.back();
  EXPECT_FALSE(images.used());
  EXPECT_THAT(images.causes.front().why, HasSubstr("no registry registry.example:5000"));
}

TEST(Certificates, are_seen_as_the_api_server_sees_them) {
  const auto made = admission::next_certificates({}, "", admission::webhook_names("cistern-system", "cluster.local"), test::now());
  const auto other = admission::next_certificates({}, "", admission::webhook_names("cistern-system", "cluster.local"), test::now());
  ASSERT_TRUE(made && other);
  const auto& certificate = made->data.at("tls.crt");
  const auto see = [&](const std::string& pem, const std::string& bundle, const std::string& name, std::chrono::seconds later) {
    return view_certificate(pem, bundle, name, test::now() + later).problem;
  };
  const std::string name = "cistern-webhook.cistern-system.svc";
  EXPECT_EQ(see(certificate, made->ca_bundle, name, {}), "");
  EXPECT_EQ(see(certificate, other->ca_bundle + made->ca_bundle, name, {}), "") << "as while a CA is replaced";
  EXPECT_EQ(see(certificate, certificate, name, {}), "") << "the API server trusts whatever is in the bundle";
  EXPECT_NE(see(certificate, other->ca_bundle, name, {}), "");
  EXPECT_EQ(see(certificate, made->ca_bundle, "cistern-webhook.elsewhere.svc", {}), "it is not for cistern-webhook.elsewhere.svc");
  EXPECT_EQ(see(certificate, made->ca_bundle, name, std::chrono::days(91)), "it has expired");
  EXPECT_NE(see(certificate, made->ca_bundle, name, -std::chrono::hours(2)), "") << "it is not valid yet";
  EXPECT_EQ(see("nonsense", made->ca_bundle, name, {}), "it can not be read");
  EXPECT_EQ(see(certificate, "nonsense", name, {}), "the caBundle holds no certificate");
  EXPECT_EQ(view_certificate(certificate, made->ca_bundle, name, test::now()).not_after, test::now() + admission::kCertificateLife);
}

TEST(Times, of_a_machine_whose_clock_is_behind_make_no_lease_fresh) {
  Cluster cluster;
  cluster.snapshot.now -= std::chrono::hours(24);
  Cluster::in(cluster.snapshot.leases, "cistern-node-worker-1")["spec"]["renewTime"] = "2026-06-01T11:00:00.000000Z";
  const World world(cluster.snapshot);
  EXPECT_TRUE(world.node_state("worker-1")->is_stale());
  EXPECT_FALSE(world.node_state("worker-2")->is_stale());
}

TEST(Times, are_told_roughly) {
  EXPECT_EQ(age_in_words(std::chrono::seconds(90)), "90s");
  EXPECT_EQ(age_in_words(std::chrono::minutes(90)), "90m");
  EXPECT_EQ(age_in_words(std::chrono::hours(47)), "47h");
  EXPECT_EQ(age_in_words(std::chrono::days(41)), "41d");
}

TEST(Selectors, in_words) {
  EXPECT_EQ(in_words(selector_of(Json())), "everything");
  EXPECT_EQ(in_words(selector_of(
                test::yaml("{matchLabels: {a: b}, matchExpressions: [{key: c, operator: NotIn, values: [d, e]}, {key: f, operator: "
                           "DoesNotExist}]}"))),
            "a=b, c notin (d, e), !f");
}

TEST(Fields, of_anything_are_nothing_where_they_are_not) {
  for (const auto* text :
       {"[]", "null", "5", R"({"spec": 5})", R"({"spec": {"a": [1]}})", R"({"metadata": [], "status": {"conditions": 7}})"}) {
    const auto json = Json::parse(text);
    EXPECT_EQ(inspect::text(json, {"spec", "a"}), "") << text;
    EXPECT_EQ(number(json, {"spec", "a"}), 0u) << text;
    EXPECT_TRUE(labels_of(json).empty()) << text;
    EXPECT_TRUE(condition(json, "Ready").is_null()) << text;
  }
}

}  // namespace
}  // namespace cistern::inspect
