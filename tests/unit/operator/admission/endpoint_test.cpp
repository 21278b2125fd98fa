#include "operator/admission/endpoint.hpp"

#include <gmock/gmock.h>

#include <atomic>
#include <map>
#include <thread>

#include "base/encoding.hpp"
#include "operator/admission/certificates.hpp"
#include "tests/unit/operator/admission/https_client.hpp"
#include "tests/unit/operator/admission/reviews.hpp"

namespace cistern::admission {
namespace {

using test::HttpsClient;
using test::kGo;
using test::pod;
using test::policy;
using test::review_of;
using test::rules_of;
using testing::HasSubstr;

constexpr const char* kHost = "cistern-webhook.cistern-system.svc";

std::shared_ptr<const Rules> shop_rules() { return std::make_shared<const Rules>(rules_of(policy("name: default", kGo), {{"shop", {}}})); }

CertificateStep certificates(const SecretData& data = {}, std::string_view published = {}, WallTime now = SystemClock().wall()) {
  return *next_certificates(data, published, webhook_names("cistern-system", "cluster.local"), now);
}

class EndpointTest : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = open_server(endpoint_, "127.0.0.1:0", 1);
    ASSERT_TRUE(opened) << opened.error().message;
    server_ = std::move(*opened);
    server_->start();
  }
  void use(const CertificateStep& step) {
    const auto used = server_->use_certificate(0, step.data.at("tls.crt"), step.data.at("tls.key"));
    ASSERT_TRUE(used) << used.error().message;
  }
  HttpsClient client(const std::string& bundle) const { return {kHost, server_->port(0), bundle}; }
  static bool is_injected(const test::HttpsAnswer& answer) {
    return answer.status == 200 && Json::parse(answer.body)["response"].contains("patch");
  }

  std::mutex mutex_;
  std::map<unsigned, int> codes_;
  Endpoint endpoint_{[this](unsigned code, std::chrono::microseconds) {
    const std::lock_guard lock(mutex_);
    ++codes_[code];
  }};
  std::unique_ptr<http::Server> server_;
  const std::string review_ = review_of(pod(), "shop").dump();
};

TEST_F(EndpointTest, answers_reviews_by_the_rules_in_use_over_one_connection) {
  const auto step = certificates();
  use(step);
  auto api = client(step.ca_bundle);
  const auto before = api.post("/mutate-pods?timeout=3s", review_);
  EXPECT_EQ(before.status, 200) << before.error;
  EXPECT_FALSE(is_injected(before));
  endpoint_.use(shop_rules());
  const auto now = api.post("/mutate-pods?timeout=3s", review_);
  EXPECT_TRUE(is_injected(now)) << now.body;
  EXPECT_FALSE(now.new_connection);
  endpoint_.use(nullptr);
  EXPECT_FALSE(is_injected(api.post("/mutate-pods", review_)));
  EXPECT_EQ(codes_, (std::map<unsigned, int>{{200, 3}}));
}

TEST_F(EndpointTest, refuses_what_is_no_review_and_stays_usable) {
  const auto step = certificates();
  use(step);
  endpoint_.use(shop_rules());
  auto api = client(step.ca_bundle);
  EXPECT_EQ(api.post("/mutate-pods", "nonsense").status, 400);
  EXPECT_EQ(api.post("/mutate-pods", "").status, 400);
  EXPECT_EQ(api.post("/other", review_).status, 404);
  EXPECT_EQ(api.post("/mutate-pods", "", "GET").status, 405);
  EXPECT_EQ(api.post("/mutate-pods", "x", "PUT").status, 405);
  EXPECT_EQ(api.post("/mutate-pods", std::string(kMaxReview.count + 1, 'x')).status, 413);
  EXPECT_TRUE(is_injected(api.post("/mutate-pods", review_)));
}

TEST_F(EndpointTest, takes_reviews_as_large_as_pods_can_be) {
  const auto step = certificates();
  use(step);
  endpoint_.use(shop_rules());
  auto api = client(step.ca_bundle);
  auto large = pod();
  large["metadata"]["annotations"]["large"] = std::string(3 << 20, 'x');
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(is_injected(api.post("/mutate-pods", review_of(large, "shop").dump())));
  EXPECT_TRUE(is_injected(api.post("/mutate-pods", review_)));
}

TEST_F(EndpointTest, closes_connections_until_there_is_a_certificate_and_takes_none_that_is_wrong) {
  const auto step = certificates();
  EXPECT_EQ(client(step.ca_bundle).post("/mutate-pods", review_).status, 0);
  EXPECT_FALSE(server_->use_certificate(0, "nonsense", step.data.at("tls.key")));
  EXPECT_FALSE(server_->use_certificate(0, step.data.at("tls.crt"), "nonsense"));
  EXPECT_FALSE(server_->use_certificate(0, step.data.at("tls.crt"), step.data.at("ca.key")));
  EXPECT_EQ(client(step.ca_bundle).post("/mutate-pods", review_).status, 0);
  use(step);
  EXPECT_EQ(client(step.ca_bundle).post("/mutate-pods", review_).status, 200);
  EXPECT_FALSE(server_->use_certificate(0, "nonsense", "nonsense"));
  EXPECT_EQ(client(step.ca_bundle).post("/mutate-pods", review_).status, 200);
  const auto wrong = client(certificates().ca_bundle).post("/mutate-pods", review_);
  EXPECT_EQ(wrong.status, 0);
  EXPECT_THAT(wrong.error, HasSubstr("certificate"));
}

TEST_F(EndpointTest, changes_its_certificate_without_closing_connections) {
  const auto first = certificates();
  const auto second = certificates();
  use(first);
  auto before = client(first.ca_bundle);
  EXPECT_EQ(before.post("/mutate-pods", review_).status, 200);
  use(second);
  EXPECT_FALSE(before.post("/mutate-pods", review_).new_connection);
  EXPECT_EQ(client(second.ca_bundle).post("/mutate-pods", review_).status, 200);
  EXPECT_EQ(client(first.ca_bundle).post("/mutate-pods", review_).status, 0);
}

// Each client is an API server with the bundle that it last heard of; the rules change all the while.
TEST_F(EndpointTest, serves_every_review_while_ca_and_rules_are_replaced) {
  const auto now = SystemClock().wall();
  // Made so long ago that the CA is due, and the certificate was renewed since.
  auto step = certificates({}, "", now - kCaLife * 2 / 3);
  step = certificates(step.data, step.ca_bundle, now - std::chrono::days(1));
  const auto old_ca = step.data.at("ca.crt");
  use(step);
  std::mutex mutex;
  std::string published = step.ca_bundle;
  std::atomic<bool> ended = false;
  std::atomic<int> served = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      while (!ended) {
        std::string bundle;
        {
          const std::lock_guard lock(mutex);
          bundle = published;
        }
        const auto answer = client(bundle).post("/mutate-pods", review_);
        EXPECT_EQ(answer.status, 200) << answer.error;
        ++served;
      }
    });
  }
  const auto wait = [&] {
    const int until = served + 10;
    for (int i = 0; i < 2000 && served < until; ++i) {
      endpoint_.use(i % 2 == 0 ? shop_rules() : nullptr);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  };
  wait();
  for (int minutes = 0; minutes < 40; minutes += 10) {
    const auto next = certificates(step.data, published, now + std::chrono::minutes(minutes));
    step = certificates(next.data, next.ca_bundle, now + std::chrono::minutes(minutes));
    use(step);
    {
      const std::lock_guard lock(mutex);
      published = step.ca_bundle;
    }
    wait();
  }
  ended = true;
  threads.clear();
  EXPECT_GT(served, 30);
  EXPECT_NE(step.data.at("ca.crt"), old_ca);
  EXPECT_FALSE(step.data.contains("ca-old.crt"));
}

}  // namespace
}  // namespace cistern::admission
