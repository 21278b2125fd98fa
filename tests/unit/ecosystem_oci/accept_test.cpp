#include "cache-agent/ecosystem/oci/accept.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace cistern::oci {
namespace {

AcceptSet of(const std::vector<std::string>& fields) {
  http::Headers headers;
  headers.add("Host", "x");
  for (const auto& field : fields) headers.add("aCCept", field);
  return accepted_types(headers);
}

TEST(OciAccept, NoneMeansAll) {
  EXPECT_EQ(of({}).key, "*");
  EXPECT_EQ(of({""}).key, "*");
  EXPECT_EQ(of({"a/b, */*"}).key, "*");
  EXPECT_EQ(of({"application/*;q=0.3"}).key, "*");
  EXPECT_NE(of({}).header.find("application/vnd.oci.image.index.v1+json"), std::string::npos);
}

TEST(OciAccept, OrderCaseQualityAndFieldsDoNotMatter) {
  const auto set = of({"a/one, a/two;q=0.5, a/three"});
  EXPECT_EQ(set.key, "a/one,a/three,a/two");
  EXPECT_EQ(set.header, "a/one, a/three, a/two");
  for (const auto& same : {of({"a/three", "A/Two", "a/one"}), of({"a/two,a/two ,a/one;q=1,,a/three ; charset=x"}),
                           of({" a/three,\ta/one", "a/two;q=0.001"})}) {
    EXPECT_EQ(same.key, set.key);
    EXPECT_EQ(same.header, set.header);
  }
}

TEST(OciAccept, DifferentSetsHaveDifferentKeys) {
  EXPECT_NE(of({"a/one"}).key, of({"a/two"}).key);
  EXPECT_NE(of({"a/one"}).key, of({"a/one, a/two"}).key);
}

TEST(OciAccept, RefusedTypesAndNonsenseAreLeftOut) {
  EXPECT_EQ(of({"a/one, a/two;q=0, a/three; q=0.000"}).key, "a/one");
  EXPECT_EQ(of({"a/one, nonsense, a/, /b, a/b c, a/\"x\""}).key, "a/one");
  EXPECT_EQ(of({"*/*;q=0, a/one"}).key, "a/one");
}

TEST(OciAccept, KeysAreBounded) {
  std::string many = "a/b";
  for (int i = 0; i < 100; ++i) many += ", application/vnd.example." + std::to_string(i);
  const auto set = of({many});
  EXPECT_LE(set.key.size(), 256U);
  EXPECT_GT(set.header.size(), 256U);
  EXPECT_NE(set.key, of({many + ", a/c"}).key);
}

}  // namespace
}  // namespace cistern::oci
