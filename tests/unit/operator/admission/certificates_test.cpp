#include "operator/admission/certificates.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operator/admission/x509.hpp"
#include "tests/fakes/manual_clock.hpp"

namespace cistern::admission {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Key;
using testing::Not;

const auto kSteady = ElementsAre(Key("ca.crt"), Key("ca.key"), Key("tls.crt"), Key("tls.key"));

// A Secret, the webhook's configuration, and a leader that takes one step whenever it is told to.
class World : public testing::Test {
 protected:
  // Secret first, configuration then, as a leader does.
  std::vector<std::string> step() {
    auto changes = write_secret();
    published_ = bundle_;
    return changes;
  }
  // A leader that ends before it writes the configuration.
  std::vector<std::string> write_secret() {
    auto next = next_certificates(data_, published_, names_, now());
    if (!next) {
      ADD_FAILURE() << next.error().message;
      return {};
    }
    EXPECT_EQ(next->changes.empty(), next->data == data_) << testing::PrintToString(next->changes);
    EXPECT_GT(next->look_again, now());
    data_ = next->data;
    bundle_ = next->ca_bundle;
    look_again_ = next->look_again;
    return next->changes;
  }
  // Until nothing is left to do at this time.
  std::vector<std::string> settle() {
    std::vector<std::string> all;
    for (int i = 0; i < 5; ++i) {
      const auto changes = step();
      if (changes.empty()) break;
      all.insert(all.end(), changes.begin(), changes.end());
    }
    EXPECT_THAT(step(), IsEmpty());
    return all;
  }
  WallTime now() const { return clock_.wall(); }
  void pass(seconds time) { clock_.advance(time); }

  // Whether an API server that trusts `bundle` takes what a replica with this certificate shows.
  bool trusted(const std::string& tls, const std::string& bundle) const {
    const auto cert = read_certificate(tls);
    if (cert == nullptr) return false;
    for (std::size_t at = 0; (at = bundle.find("-----BEGIN", at)) != std::string::npos; ++at) {
      const auto ca = read_certificate(bundle.substr(at));
      if (ca != nullptr && why_not_trusted(*cert, *ca, names_, now()).empty()) return true;
    }
    return false;
  }
  bool works() const { return trusted(data_.at("tls.crt"), published_); }

  fakes::ManualClock clock_;
  std::vector<std::string> names_ = webhook_names("cistern-system", "cluster.local");
  SecretData data_;
  std::string published_, bundle_;
  WallTime look_again_;
};

TEST_F(World, begins_with_a_ca_and_a_certificate_for_the_services_names) {
  EXPECT_THAT(names_, ElementsAre("cistern-webhook.cistern-system.svc", "cistern-webhook.cistern-system.svc.cluster.local"));
  EXPECT_THAT(step(), ElementsAre(HasSubstr("a CA"), HasSubstr("a new certificate")));
  EXPECT_THAT(data_, kSteady);
  EXPECT_EQ(published_, data_.at("ca.crt"));
  EXPECT_TRUE(works());
  const auto ca = read_identity({data_.at("ca.crt"), data_.at("ca.key")});
  const auto tls = read_identity({data_.at("tls.crt"), data_.at("tls.key")});
  ASSERT_TRUE(ca && tls);
  EXPECT_TRUE(is_ca(*ca));
  EXPECT_FALSE(is_ca(*tls));
  EXPECT_EQ(ca->not_before, now() - hours(1));
  EXPECT_EQ(ca->not_after, now() + days(365));
  EXPECT_EQ(tls->not_after, now() + days(90));
  EXPECT_EQ(look_again_, now() + days(60));
  EXPECT_THAT(why_not_trusted(*tls->cert, *ca->cert, {"cistern-webhook.other.svc"}, now()), HasSubstr("not for"));
}

TEST_F(World, changes_nothing_while_all_is_well) {
  settle();
  const auto before = data_;
  for (int i = 0; i < 59; ++i) {
    pass(days(1));
    EXPECT_THAT(step(), IsEmpty());
  }
  EXPECT_EQ(data_, before);
}

TEST_F(World, renews_the_certificate_by_the_same_ca_after_two_thirds_of_its_life) {
  settle();
  const auto before = data_;
  pass(days(60) - seconds(1));
  EXPECT_THAT(step(), IsEmpty());
  pass(seconds(1));
  EXPECT_THAT(step(), ElementsAre(HasSubstr("two thirds")));
  EXPECT_EQ(data_.at("ca.crt"), before.at("ca.crt"));
  EXPECT_NE(data_.at("tls.crt"), before.at("tls.crt"));
  EXPECT_TRUE(works());
  EXPECT_THAT(data_, kSteady);
}

TEST_F(World, replaces_its_ca_without_a_moment_in_which_a_replica_is_not_trusted) {
  settle();
  const auto first = data_.at("ca.crt");
  pass(kCaLife * 2 / 3);
  const auto old_tls_then = [&] {
    settle();
    return data_.at("tls.crt");
  };
  // Published: both are named, the certificate is still the old CA's.
  EXPECT_THAT(write_secret(), testing::Contains(HasSubstr("the next CA")));
  EXPECT_THAT(bundle_, HasSubstr(data_.at("ca-next.crt")));
  EXPECT_THAT(bundle_, HasSubstr(first));
  EXPECT_EQ(data_.at("ca.crt"), first);
  EXPECT_EQ(data_.count("overlap-since"), 0U);
  // Nobody has written the configuration for a day: nothing goes on.
  pass(days(1));
  EXPECT_THAT(write_secret(), IsEmpty());
  const auto next = data_.at("ca-next.crt");
  published_ = bundle_;
  EXPECT_THAT(step(), ElementsAre(HasSubstr("is published")));
  EXPECT_EQ(look_again_, now() + kOverlap);
  pass(kOverlap - seconds(1));
  const auto before = old_tls_then();
  EXPECT_EQ(data_.at("ca.crt"), first);
  EXPECT_TRUE(works());
  // Switched: replicas show the new or still the old one, API servers know both.
  pass(seconds(1));
  const auto known = published_;
  EXPECT_THAT(step(), ElementsAre(HasSubstr("in use"), HasSubstr("a new certificate")));
  EXPECT_EQ(data_.at("ca.crt"), next);
  EXPECT_EQ(data_.at("ca-old.crt"), first);
  EXPECT_EQ(data_.count("ca-next.crt") + data_.count("ca-next.key"), 0U);
  for (const auto& bundle : {known, published_}) {
    EXPECT_TRUE(trusted(before, bundle));
    EXPECT_TRUE(trusted(data_.at("tls.crt"), bundle));
  }
  EXPECT_EQ(look_again_, now() + kOverlap);
  pass(kOverlap - seconds(1));
  EXPECT_THAT(step(), IsEmpty());
  // Steady again.
  pass(seconds(1));
  EXPECT_THAT(step(), ElementsAre(HasSubstr("old CA")));
  EXPECT_THAT(data_, kSteady);
  EXPECT_EQ(published_, next);
  EXPECT_TRUE(works());
  EXPECT_THAT(step(), IsEmpty());
}

TEST_F(World, is_trusted_at_every_moment_of_three_years_by_looking_only_when_it_said) {
  settle();
  std::string shown = data_.at("tls.crt");  // by a replica that hears of the Secret a step later
  int cas = 0;
  int looks = 0;
  for (const auto end = now() + days(3 * 365); now() < end; ++looks) {
    pass(look_again_ - now() - seconds(1));
    ASSERT_TRUE(works());
    ASSERT_TRUE(trusted(shown, published_));
    pass(seconds(1));
    const auto ca = data_.at("ca.crt");
    const auto before = published_;
    settle();
    cas += data_.at("ca.crt") == ca ? 0 : 1;
    ASSERT_TRUE(trusted(data_.at("tls.crt"), before));  // by an API server that has not heard of the new configuration
    ASSERT_TRUE(trusted(shown, published_));
    shown = data_.at("tls.crt");
  }
  EXPECT_EQ(cas, 4);
  EXPECT_LT(looks, 50);
}

TEST_F(World, waits_again_where_the_next_ca_was_taken_out_of_the_configuration) {
  settle();
  pass(kCaLife * 2 / 3);
  settle();
  EXPECT_EQ(data_.count("overlap-since"), 1U);
  published_ = data_.at("ca.crt");
  EXPECT_THAT(write_secret(), ElementsAre(HasSubstr("not in the webhook's configuration")));
  pass(days(1));
  EXPECT_THAT(write_secret(), IsEmpty());
  EXPECT_THAT(bundle_, HasSubstr(data_.at("ca-next.crt")));
}

struct Damage {
  const char* name;
  std::function<void(SecretData&)> harm;
  bool new_ca;
};

class Damaged : public World, public testing::WithParamInterface<Damage> {};

TEST_P(Damaged, is_made_good_at_once) {
  settle();
  const auto before = data_;
  GetParam().harm(data_);
  const auto changes = step();
  EXPECT_THAT(changes, Not(IsEmpty()));
  EXPECT_TRUE(works()) << testing::PrintToString(changes);
  EXPECT_EQ(data_.at("ca.crt") != before.at("ca.crt"), GetParam().new_ca);
  EXPECT_NE(data_.at("tls.crt"), before.at("tls.crt"));
  // What a replica still shows is trusted as long as the old CA can be read.
  if (data_.contains("ca-old.crt") && data_.at("ca-old.crt") == before.at("ca.crt")) {
    EXPECT_TRUE(trusted(before.at("tls.crt"), published_));
  }
  pass(kOverlap);
  settle();
  EXPECT_THAT(data_, kSteady);
  EXPECT_TRUE(works());
}

INSTANTIATE_TEST_SUITE_P(
    Secret, Damaged,
    testing::Values(
        Damage{"emptied", [](SecretData& data) { data.clear(); }, true},
        Damage{"ca_unreadable", [](SecretData& data) { data["ca.crt"] = "nonsense"; }, true},
        Damage{"ca_key_missing", [](SecretData& data) { data.erase("ca.key"); }, true},
        Damage{"ca_key_of_another", [](SecretData& data) { data["ca.key"] = data["tls.key"]; }, true},
        Damage{"ca_is_no_ca", [](SecretData& data) { data["ca.crt"] = data["tls.crt"], data["ca.key"] = data["tls.key"]; }, true},
        Damage{"cut_short", [](SecretData& data) { data["tls.crt"].resize(data["tls.crt"].size() / 2); }, false},
        Damage{"certificate_missing", [](SecretData& data) { data.erase("tls.crt"); }, false},
        Damage{"key_unreadable", [](SecretData& data) { data["tls.key"] = std::string("\0\xff", 2); }, false},
        Damage{"key_encrypted",
               [](SecretData& data) {
                 data["tls.key"] =
                     "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIGjMF8GCSqGSIb3DQEFDTBSMDEG\n-----END ENCRYPTED PRIVATE KEY-----\n";
               },
               false},
        Damage{"key_of_another", [](SecretData& data) { data["tls.key"] = data["ca.key"]; }, false},
        Damage{"certificate_of_another_ca",
               [](SecretData& data) {
                 const auto other =
                     next_certificates({}, "", webhook_names("cistern-system", "cluster.local"), WallTime(seconds(1'750'001'000)));
                 data["tls.crt"] = other->data.at("tls.crt");
                 data["tls.key"] = other->data.at("tls.key");
               },
               false}),
    [](const auto& test) { return test.param.name; });

TEST_F(World, makes_a_new_certificate_where_it_is_for_other_names) {
  settle();
  names_ = webhook_names("elsewhere", "cluster.local");
  EXPECT_THAT(step(), ElementsAre(HasSubstr("not for cistern-webhook.elsewhere.svc")));
  EXPECT_TRUE(works());
  names_ = webhook_names("elsewhere", "corp.example");
  EXPECT_THAT(step(), ElementsAre(HasSubstr("corp.example")));
  EXPECT_THAT(data_, kSteady);
}

TEST_F(World, that_slept_until_the_certificate_or_the_ca_expired_begins_anew) {
  settle();
  const auto first = data_;
  pass(days(91));
  EXPECT_THAT(step(), ElementsAre(HasSubstr("expired")));
  EXPECT_EQ(data_.at("ca.crt"), first.at("ca.crt"));
  EXPECT_TRUE(works());
  pass(days(300));
  EXPECT_THAT(step(), ElementsAre(HasSubstr("a new CA at once"), HasSubstr("a new certificate")));
  EXPECT_NE(data_.at("ca.crt"), first.at("ca.crt"));
  EXPECT_TRUE(works());
}

TEST_F(World, whose_clock_went_back_a_little_stays_and_far_begins_anew) {
  settle();
  const auto first = data_;
  pass(-(minutes(59)));
  EXPECT_THAT(step(), IsEmpty());
  EXPECT_TRUE(works());
  pass(-hours(24));
  EXPECT_THAT(step(), testing::Contains(HasSubstr("not valid yet")));
  EXPECT_NE(data_.at("ca.crt"), first.at("ca.crt"));
  EXPECT_TRUE(works());
  // And forwards again: what was made meanwhile still holds.
  pass(hours(25));
  EXPECT_THAT(settle(), AnyOf(IsEmpty(), ElementsAre(HasSubstr("old CA"))));
  EXPECT_TRUE(works());
}

TEST_F(World, whose_clock_went_back_within_a_rotation_waits_the_whole_time_again) {
  settle();
  pass(kCaLife * 2 / 3);
  settle();
  pass(-(minutes(30)));
  EXPECT_THAT(step(), ElementsAre(HasSubstr("begins anew")));
  pass(kOverlap - seconds(1));
  settle();
  EXPECT_TRUE(data_.contains("ca-next.crt"));
  pass(seconds(1));
  settle();
  EXPECT_FALSE(data_.contains("ca-next.crt"));
  EXPECT_TRUE(works());
}

TEST_F(World, takes_the_next_ca_before_its_time_where_the_present_one_can_not_be_used) {
  settle();
  pass(kCaLife * 2 / 3);
  settle();
  const auto next = data_.at("ca-next.crt");
  data_["ca.key"] = "lost";
  EXPECT_THAT(step(), ElementsAre(HasSubstr("before its time"), HasSubstr("a new certificate")));
  EXPECT_EQ(data_.at("ca.crt"), next);
  EXPECT_TRUE(works());
  pass(kOverlap);
  settle();
  EXPECT_THAT(data_, kSteady);
}

TEST_F(World, makes_another_next_ca_where_the_one_that_was_published_can_not_be_used) {
  settle();
  pass(kCaLife * 2 / 3);
  settle();
  const auto next = data_.at("ca-next.crt");
  data_["ca-next.key"] = "lost";
  EXPECT_THAT(step(), ElementsAre(HasSubstr("can not be used")));
  EXPECT_NE(data_.at("ca-next.crt"), next);
  EXPECT_FALSE(data_.contains("overlap-since"));
  EXPECT_TRUE(works());
}

TEST_F(World, begins_the_overlap_anew_where_its_time_is_nonsense) {
  settle();
  pass(kCaLife * 2 / 3);
  settle();
  for (const auto* nonsense : {"soon", "-1x", "99999999999999999999999", "9999999999"}) {
    data_["overlap-since"] = nonsense;
    EXPECT_THAT(step(), ElementsAre(HasSubstr("begins anew"))) << nonsense;
    EXPECT_THAT(step(), IsEmpty());
  }
}

TEST_F(World, keeps_what_else_is_in_the_secret_and_takes_out_an_old_ca_that_can_not_be_read) {
  settle();
  data_["note"] = "somebody's";
  data_["ca-old.crt"] = "nonsense";
  data_["overlap-since"] = "1";
  EXPECT_THAT(step(), ElementsAre(HasSubstr("old CA")));
  EXPECT_EQ(data_.at("note"), "somebody's");
  EXPECT_EQ(published_, data_.at("ca.crt"));
}

TEST_F(World, puts_a_line_end_between_certificates_that_were_edited) {
  settle();
  pass(kCaLife * 2 / 3);
  settle();
  while (data_["ca.crt"].ends_with('\n')) data_["ca.crt"].pop_back();
  step();
  EXPECT_EQ(published_.find("----------"), std::string::npos);
  EXPECT_TRUE(works());
}

}  // namespace
}  // namespace cistern::admission
