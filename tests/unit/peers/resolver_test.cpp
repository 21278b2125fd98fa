#include "cache-agent/peers/resolver.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cistern::peers {
namespace {

using testing::Contains;
using testing::ElementsAre;

TEST(SystemResolver, AddressesResolveToThemselves) {
  EXPECT_THAT(make_system_resolver()->resolve("127.0.0.1")->addresses, ElementsAre("127.0.0.1"));
  EXPECT_THAT(make_system_resolver()->resolve("fd00::1")->addresses, ElementsAre("fd00::1"));
}

TEST(SystemResolver, TheLoopbackAddressIsLocal) { EXPECT_THAT(local_addresses(), Contains("127.0.0.1")); }

}  // namespace
}  // namespace cistern::peers
