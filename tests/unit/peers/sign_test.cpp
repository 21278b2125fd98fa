#include "cache-agent/peers/sign.hpp"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cistern::peers {
namespace {

using testing::HasSubstr;

const Keys kKeys{"0123456789abcdef0123", ""};
const Signable kRequest{"GET", "/v2/library/nginx/blobs/sha256:00?ns=docker.io", "node/"};
const WallTime kNow{std::chrono::seconds(1'700'000'000)};

std::string signed_now(unsigned hop = 1) { return sign(kRequest, hop, kKeys.current, kNow); }

ErrorCode refused(const Signable& request, std::string_view header, const Keys& keys, WallTime now) {
  Verifier verifier;
  const auto result = verifier.verify(request, header, keys, now);
  EXPECT_FALSE(result);
  return result ? ErrorCode::kInternal : result.error().code;
}

TEST(PeerSignature, AGenuineRequestIsAcceptedWithItsHops) {
  Verifier verifier;
  EXPECT_EQ(verifier.verify(kRequest, signed_now(), kKeys, kNow).value(), 1U);
  EXPECT_EQ(verifier.verify(kRequest, signed_now(0), kKeys, kNow).value(), 0U);
}

TEST(PeerSignature, EveryPartIsSigned) {
  const auto header = signed_now();
  EXPECT_EQ(refused({"HEAD", kRequest.target, kRequest.scope}, header, kKeys, kNow), ErrorCode::kForbidden);
  EXPECT_EQ(refused({kRequest.method, "/v2/library/nginx/blobs/sha256:01?ns=docker.io", kRequest.scope}, header, kKeys, kNow),
            ErrorCode::kForbidden);
  EXPECT_EQ(refused({kRequest.method, kRequest.target, "pods/"}, header, kKeys, kNow), ErrorCode::kForbidden);
  const auto change = [&](std::string_view field, std::string_view value) {
    auto changed = header;
    const auto at = changed.find(field) + field.size();
    changed.replace(at, changed.find(';', at) - at, value);
    return changed;
  };
  EXPECT_EQ(refused(kRequest, change("hop=", "0"), kKeys, kNow), ErrorCode::kForbidden);
  EXPECT_EQ(refused(kRequest, change("time=", "1700000001"), kKeys, kNow), ErrorCode::kForbidden);
  EXPECT_EQ(refused(kRequest, change("nonce=", std::string(32, '0')), kKeys, kNow), ErrorCode::kForbidden);
}

TEST(PeerSignature, PartsDoNotRunIntoEachOther) {
  const auto header = sign({"GET", "/a", "b/c"}, 1, kKeys.current, kNow);
  EXPECT_EQ(refused({"GET", "/ab", "/c"}, header, kKeys, kNow), ErrorCode::kForbidden);
  EXPECT_EQ(refused({"GET/", "a", "b/c"}, header, kKeys, kNow), ErrorCode::kForbidden);
}

TEST(PeerSignature, AReplayIsRefused) {
  Verifier verifier;
  const auto header = signed_now();
  EXPECT_TRUE(verifier.verify(kRequest, header, kKeys, kNow));
  for (int later = 0; later <= 30; later += 10) {
    const auto again = verifier.verify(kRequest, header, kKeys, kNow + std::chrono::seconds(later));
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, ErrorCode::kForbidden);
    EXPECT_THAT(again.error().message, HasSubstr("before"));
  }
}

TEST(PeerSignature, AReplayIsRefusedForAsLongAsItsTimeIsValid) {
  for (int start = 0; start < 200; start += 7) {
    Verifier verifier;
    const auto first = kNow + std::chrono::seconds(start);
    EXPECT_TRUE(verifier.verify(kRequest, signed_now(), kKeys, kNow));
    const auto header = sign(kRequest, 1, kKeys.current, first + kMaxSkew);  // its clock is ahead: valid for a minute
    EXPECT_TRUE(verifier.verify(kRequest, header, kKeys, first));
    for (int later = 1; later <= 60; ++later) {
      verifier
          .verify(kRequest, sign(kRequest, 1, kKeys.current, first + std::chrono::seconds(later)), kKeys,
                  first + std::chrono::seconds(later))
          .value();
      EXPECT_FALSE(verifier.verify(kRequest, header, kKeys, first + std::chrono::seconds(later))) << start << ' ' << later;
    }
  }
}

TEST(PeerSignature, OldAndFutureRequestsAreRefused) {
  Verifier verifier;
  EXPECT_TRUE(verifier.verify(kRequest, signed_now(), kKeys, kNow + kMaxSkew));
  EXPECT_TRUE(verifier.verify(kRequest, signed_now(), kKeys, kNow - kMaxSkew));
  EXPECT_EQ(refused(kRequest, signed_now(), kKeys, kNow + kMaxSkew + std::chrono::seconds(1)), ErrorCode::kForbidden);
  EXPECT_EQ(refused(kRequest, signed_now(), kKeys, kNow - kMaxSkew - std::chrono::seconds(1)), ErrorCode::kForbidden);
}

TEST(PeerSignature, ThePreviousKeyIsAcceptedWhileKeysRotate) {
  const Keys rotated{"another key of 16 bytes", kKeys.current};
  Verifier verifier;
  EXPECT_TRUE(verifier.verify(kRequest, signed_now(), rotated, kNow));
  EXPECT_TRUE(verifier.verify(kRequest, sign(kRequest, 1, rotated.current, kNow), rotated, kNow));
}

TEST(PeerSignature, AnotherKeyAndNoKeyAreRefused) {
  EXPECT_EQ(refused(kRequest, sign(kRequest, 1, "the key of another group", kNow), kKeys, kNow), ErrorCode::kForbidden);
  EXPECT_EQ(refused(kRequest, sign(kRequest, 1, "", kNow), kKeys, kNow), ErrorCode::kForbidden);
  EXPECT_EQ(refused(kRequest, sign(kRequest, 1, "", kNow), Keys{}, kNow), ErrorCode::kForbidden);
}

TEST(PeerSignature, TooManyHopsAreRefused) { EXPECT_EQ(refused(kRequest, signed_now(2), kKeys, kNow), ErrorCode::kForbidden); }

TEST(PeerSignature, MalformedHeadersAreRefused) {
  const auto good = signed_now();
  for (const auto& header :
       std::vector<std::string>{"", "x", ";;;;;;", good + ";", good + ";x=1", good.substr(0, good.size() - 1), "v=2" + good.substr(3),
                                good.substr(4), "v=1;key=;time=;nonce=;hop=;mac=", std::string(100'000, 'v')}) {
    EXPECT_EQ(refused(kRequest, header, kKeys, kNow), ErrorCode::kForbidden) << header.substr(0, 80);
  }
  auto upper = good;
  upper[upper.find("nonce=") + 6] = 'G';
  EXPECT_EQ(refused(kRequest, upper, kKeys, kNow), ErrorCode::kForbidden);
}

TEST(PeerSignature, NothingOfTheKeyIsTold) {
  const auto header = signed_now();
  EXPECT_EQ(header.find(kKeys.current), std::string::npos);
  auto forged = header;
  forged.replace(forged.size() - 64, 64, std::string(64, '0'));
  Verifier verifier;
  const auto result = verifier.verify(kRequest, forged, kKeys, kNow);
  EXPECT_EQ(result.error().message.find(header.substr(header.size() - 64)), std::string::npos);
  EXPECT_EQ(result.error().message.find(kKeys.current), std::string::npos);
}

TEST(PeerSignature, MemoryForNoncesIsBoundedAndFailsClosed) {
  Verifier verifier(3);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(verifier.verify(kRequest, signed_now(), kKeys, kNow));
  EXPECT_EQ(verifier.verify(kRequest, signed_now(), kKeys, kNow).error().code, ErrorCode::kUnavailable);
  const auto later = kNow + std::chrono::seconds(61);
  EXPECT_TRUE(verifier.verify(kRequest, sign(kRequest, 1, kKeys.current, later), kKeys, later));
}

TEST(PeerSignature, AForgedRequestUsesNoMemory) {
  Verifier verifier(1);
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(verifier.verify(kRequest, sign(kRequest, 1, "the key of another group", kNow), kKeys, kNow));
  EXPECT_TRUE(verifier.verify(kRequest, signed_now(), kKeys, kNow));
}

TEST(PeerSignature, OneOfManyThreadsWithTheSameHeaderWins) {
  Verifier verifier;
  const auto header = signed_now();
  std::atomic<int> accepted{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] { accepted += verifier.verify(kRequest, header, kKeys, kNow).has_value() ? 1 : 0; });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(accepted, 1);
}

}  // namespace
}  // namespace cistern::peers
