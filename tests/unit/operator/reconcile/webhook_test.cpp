// The webhook's certificates and configuration, on a fake and on a real API server.
#include <gmock/gmock.h>

#include "tests/unit/operator/reconcile/injection_fixture.hpp"

namespace cistern::reconcile {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;
using testing::StartsWith;

class WebhookTest : public InjectionTest {};

TEST_P(WebhookTest, CertificatesAreMadeAndPutRight) {
  install_webhook();
  add_namespace("shop");
  put_policy("default");
  set_endpoint("default", true);
  auto leads = leader();
  auto follows = follower();
  const auto works = [&] {
    const auto now = bundle();
    return !now.empty() && leads->injected("shop", now).starts_with("http") && follows->injected("shop", now).starts_with("http");
  };
  ASSERT_TRUE(eventually(works)) << follows->injected("shop", bundle());
  EXPECT_TRUE((*leads)->events().has("Normal CertificatesRenewed cistern"));
  const auto made = client_->get(kube::kMutatingWebhooks, {"", kWebhookName});
  EXPECT_EQ(made->at("webhooks").size(), 2U);
  EXPECT_EQ(made->at("webhooks")[1].value("failurePolicy", ""), "Ignore");
  EXPECT_EQ(secret().at("metadata").at("ownerReferences").at(0).at("uid"), made->at("metadata").at("uid"));
  ASSERT_TRUE((*leads)->at_rest());
  const double before = (*leads)->writes();
  (*leads)->controllers().resync();
  ASSERT_TRUE((*leads)->at_rest());
  EXPECT_EQ((*leads)->writes(), before);

  const auto good = bundle();
  publish("");
  EXPECT_TRUE(eventually([&] { return bundle() == good; }, seconds(2)));
  client_->remove(kube::kMutatingWebhooks, {"", kWebhookName});
  install_webhook();
  EXPECT_TRUE(eventually([&] { return bundle() == good; }, seconds(2)));
  client_->remove(kube::kSecrets, {kNs, kWebhookSecret});
  EXPECT_TRUE(eventually([&] { return bundle() != good && works(); }, seconds(3)));
  client_->merge_patch(kube::kSecrets, {kNs, kWebhookSecret}, Json{{"data", {{"tls.crt", to_base64("damaged")}}}});
  EXPECT_TRUE(eventually([&] { return decoded(secret(), "tls.crt") != "damaged" && works(); }, seconds(3)));
}

TEST_P(WebhookTest, ACaIsReplacedWithoutAReviewThatFails) {
  const SystemClock clock;
  const auto names = admission::webhook_names(kNs, "cluster.local");
  // A CA whose time is nearly over, with a certificate that is not.
  auto old = *admission::next_certificates({}, "", names, clock.wall() - std::chrono::days(250));
  old = *admission::next_certificates(old.data, old.ca_bundle, names, clock.wall() - std::chrono::days(10));
  install_webhook();
  put_secret(old.data);
  publish(old.ca_bundle);
  add_namespace("shop");
  put_policy("default");
  set_endpoint("default", true);
  auto leads = leader();
  auto follows = follower();
  ASSERT_TRUE(eventually(
      [&] { return leads->injected("shop", bundle()).starts_with("http") && follows->injected("shop", bundle()).starts_with("http"); }));
  std::atomic<int> answered = 0;
  std::mutex mutex;
  std::string failure;
  std::jthread asks([&](const std::stop_token& stop) {
    for (int i = 0; !stop.stop_requested(); ++i) {
      // The API server hears of a bundle a moment later than it is written.
      const auto trusted = bundle();
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      const auto value = (i % 2 == 0 ? *leads : *follows).injected("shop", trusted);
      ++answered;
      const std::lock_guard lock(mutex);
      if (!value.starts_with("http")) failure = value;
    }
  });
  const auto key = [&](const char* name) { return decoded(secret(), name); };
  ASSERT_TRUE(eventually([&] { return !key("overlap-since").empty() && bundle().find(key("ca-next.crt")) != std::string::npos; }));
  const auto next = key("ca-next.crt");
  ASSERT_FALSE(next.empty());
  const auto let_time_pass = [&] {
    const auto then = std::to_string((clock.wall() - 2 * admission::kOverlap).time_since_epoch().count());
    ASSERT_TRUE(client_->merge_patch(kube::kSecrets, {kNs, kWebhookSecret}, Json{{"data", {{"overlap-since", to_base64(then)}}}}));
  };
  let_time_pass();
  ASSERT_TRUE(eventually([&] { return key("ca.crt") == next && key("tls.crt") != old.data.at("tls.crt"); }));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  let_time_pass();
  ASSERT_TRUE(eventually([&] { return bundle() == next; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  asks = {};
  EXPECT_EQ(failure, "");
  EXPECT_GT(answered, 5);
}

TEST_P(WebhookTest, CertificatesOfOthersAreServedAndNeverWritten) {
  install_webhook({{"cert-manager.io/inject-ca-from", "cistern-system/cistern-webhook"}});
  add_namespace("shop");
  add_node("n1");
  put_policy("default");
  set_endpoint("default", true);
  auto leads = leader();
  EXPECT_TRUE(eventually([&] { return condition("default", "Degraded").starts_with("True WebhookUnavailable"); }))
      << condition("default", "Degraded");
  EXPECT_THAT(condition("default", "Degraded"), HasSubstr("tls.crt"));
  EXPECT_TRUE(secret().is_null());
  EXPECT_EQ(bundle(), "");
  const auto step = *admission::next_certificates({}, "", admission::webhook_names(kNs, "cluster.local"), SystemClock().wall());
  put_secret({{"tls.crt", step.data.at("tls.crt")}, {"tls.key", step.data.at("tls.key")}});
  EXPECT_TRUE(eventually([&] { return leads->injected("shop", step.ca_bundle).starts_with("http"); }));
  EXPECT_TRUE(eventually([&] { return condition("default", "Degraded").find("no caBundle") != std::string::npos; }));
  publish(step.ca_bundle);
  EXPECT_TRUE(eventually([&] { return condition("default", "Degraded").starts_with("False"); })) << condition("default", "Degraded");
  EXPECT_EQ(secret().at("data").size(), 2U);
}

TEST_P(WebhookTest, WithoutItsConfigurationThePolicySaysSo) {
  add_namespace("shop");
  add_node("n1");
  put_policy("default");
  put_policy("quiet", {{"nodeSelector", {{"matchLabels", {{"a", "b"}}}}}, {"injection", {{"mode", "Off"}}}});
  auto leads = leader();
  EXPECT_TRUE(eventually([&] { return condition("default", "Degraded").starts_with("True WebhookUnavailable"); }));
  EXPECT_THAT(condition("default", "Degraded"), HasSubstr("there is no MutatingWebhookConfiguration cistern"));
  EXPECT_TRUE(eventually([&] { return is_ready("default"); }));
  EXPECT_THAT(condition("quiet", "Degraded"), StartsWith("False"));
  install_webhook();
  EXPECT_TRUE(eventually([&] { return condition("default", "Degraded").starts_with("False"); }));
}

INSTANTIATE_TEST_SUITE_P(On, WebhookTest, testing::Values("fake", "real"), [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace cistern::reconcile
