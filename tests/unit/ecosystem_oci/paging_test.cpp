#include "cache-agent/ecosystem/oci/paging.hpp"

#include <string>

#include <gtest/gtest.h>

namespace cistern::oci {
namespace {

Request tags(std::string_view path, std::string_view query) {
  config::Registry docker;
  docker.name = "docker.io";
  config::Registry quay;
  quay.name = "quay.io";
  return parse(path, query, {docker, quay}).value();
}

TEST(OciPaging, LinksLeadToThePathByWhichTheClientAsked) {
  EXPECT_EQ(rewrite_link("</v2/mirror/app/tags/list?n=10&last=b>; rel=\"next\"", tags("/v2/quay.io/org/app/tags/list", "n=10")),
            "</v2/quay.io/org/app/tags/list?n=10&last=b>; rel=\"next\"");
  EXPECT_EQ(rewrite_link("<https://quay.io/v2/org/app/tags/list?next_page=abc%3D>; rel=next", tags("/v2/org/app/tags/list", "ns=quay.io")),
            "</v2/org/app/tags/list?next_page=abc%3D&ns=quay.io>; rel=\"next\"");
  EXPECT_EQ(rewrite_link("<?last=b>;rel=\"next\"", tags("/v2/nginx/tags/list", "ns=docker.io")),
            "</v2/library/nginx/tags/list?last=b&ns=docker.io>; rel=\"next\"");
}

TEST(OciPaging, ReferrersPageLikewise) {
  const auto digest = "sha256:" + std::string(64, 'a');
  EXPECT_EQ(rewrite_link("</v2/x/referrers/" + digest + "?p=2>; rel=\"next\"", tags("/v2/quay.io/org/app/referrers/" + digest, "")),
            "</v2/quay.io/org/app/referrers/" + digest + "?p=2>; rel=\"next\"");
}

TEST(OciPaging, TheUpstreamsNsIsNotOurs) {
  EXPECT_EQ(rewrite_link("<?ns=evil.example&last=b>; rel=\"next\"", tags("/v2/quay.io/org/app/tags/list", "")),
            "</v2/quay.io/org/app/tags/list?last=b>; rel=\"next\"");
}

TEST(OciPaging, OneOfSeveralLinksIsTheNext) {
  EXPECT_EQ(rewrite_link("<?last=a>; rel=\"prev\", <?last=z>; rel=\"next\"; title=\"x\"", tags("/v2/quay.io/org/app/tags/list", "")),
            "</v2/quay.io/org/app/tags/list?last=z>; rel=\"next\"");
}

TEST(OciPaging, WhatIsNoNextPageIsLeftOut) {
  const auto request = tags("/v2/quay.io/org/app/tags/list", "");
  for (const char* link : {"", "x", "<?last=b>", "<?last=b>; rel=\"prev\"", "<?last=b", "</v2/x/tags/list>; rel=\"next\"",
                           "<?last=a\r\nX: y>; rel=\"next\"", "<?last=b>; rel=\"nextx\"", "<?a b>; rel=\"next\""}) {
    EXPECT_EQ(rewrite_link(link, request), std::nullopt) << link;
  }
}

}  // namespace
}  // namespace cistern::oci
