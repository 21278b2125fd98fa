#include <gtest/gtest.h>

#include "http/message.hpp"

namespace cistern::http {
namespace {

struct Case {
  const char* value;
  std::uint64_t size;
  RangeKind kind;
  std::uint64_t offset, length;
};

class Ranges : public ::testing::TestWithParam<Case> {};

TEST_P(Ranges, AreUnderstoodOrIgnored) {
  const Case& expected = GetParam();
  ByteRange range;
  RangeKind kind = RangeKind::kNone;
  if (const auto request = parse_range(expected.value)) kind = resolve_range(*request, expected.size, range);
  EXPECT_EQ(kind, expected.kind) << expected.value;
  EXPECT_EQ(range.offset, expected.offset) << expected.value;
  EXPECT_EQ(range.length, expected.length) << expected.value;
}

INSTANTIATE_TEST_SUITE_P(
    Single, Ranges,
    ::testing::Values(Case{"bytes=0-", 10, RangeKind::kSatisfiable, 0, 10}, Case{"bytes=0-0", 10, RangeKind::kSatisfiable, 0, 1},
                      Case{"bytes=3-5", 10, RangeKind::kSatisfiable, 3, 3}, Case{"bytes=3-99", 10, RangeKind::kSatisfiable, 3, 7},
                      Case{"bytes=-4", 10, RangeKind::kSatisfiable, 6, 4}, Case{"bytes=-99", 10, RangeKind::kSatisfiable, 0, 10},
                      Case{"BYTES=9-", 10, RangeKind::kSatisfiable, 9, 1},
                      Case{"bytes=0-99999999999999999999999", 10, RangeKind::kSatisfiable, 0, 10}));

INSTANTIATE_TEST_SUITE_P(PastTheEnd, Ranges,
                         ::testing::Values(Case{"bytes=10-", 10, RangeKind::kUnsatisfiable, 0, 0},
                                           Case{"bytes=99-100", 10, RangeKind::kUnsatisfiable, 0, 0},
                                           Case{"bytes=-0", 10, RangeKind::kUnsatisfiable, 0, 0},
                                           Case{"bytes=0-", 0, RangeKind::kUnsatisfiable, 0, 0},
                                           Case{"bytes=-1", 0, RangeKind::kUnsatisfiable, 0, 0},
                                           Case{"bytes=99999999999999999999999-", 10, RangeKind::kUnsatisfiable, 0, 0}));

INSTANTIATE_TEST_SUITE_P(NotARangeWeServe, Ranges,
                         ::testing::Values(Case{"", 10, RangeKind::kNone, 0, 0}, Case{"bytes", 10, RangeKind::kNone, 0, 0},
                                           Case{"bytes=", 10, RangeKind::kNone, 0, 0}, Case{"bytes=-", 10, RangeKind::kNone, 0, 0},
                                           Case{"bytes=5", 10, RangeKind::kNone, 0, 0}, Case{"bytes=5-3", 10, RangeKind::kNone, 0, 0},
                                           Case{"bytes=0-1,4-5", 10, RangeKind::kNone, 0, 0}, Case{"items=0-1", 10, RangeKind::kNone, 0, 0},
                                           Case{"bytes=+1-2", 10, RangeKind::kNone, 0, 0}, Case{"bytes=--1", 10, RangeKind::kNone, 0, 0},
                                           Case{"bytes=0x1-2", 10, RangeKind::kNone, 0, 0},
                                           Case{"bytes=1 -2", 10, RangeKind::kNone, 0, 0}));

}  // namespace
}  // namespace cistern::http
