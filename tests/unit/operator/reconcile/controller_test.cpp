#include "operator/reconcile/controller.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <thread>

#include "base/clock.hpp"

namespace cistern::reconcile {
namespace {

TEST(Controller, AnExceptionIsOneItemsFailure) {
  const SystemClock clock;
  Metrics metrics("test");
  std::atomic<int> bad = 0;
  std::atomic<int> good = 0;
  Controller controller("group", 1, clock, metrics, [&](const std::string& item) -> Result<Outcome> {
    if (item == "bad" && ++bad < 3) throw std::out_of_range("no such member");
    if (item == "good") ++good;
    return Outcome{};
  });
  controller.queue().add("bad");
  controller.queue().add("good");
  controller.start();
  for (int i = 0; i < 500 && (bad < 3 || good < 1); ++i) std::this_thread::sleep_for(milliseconds(10));
  controller.stop();
  EXPECT_EQ(bad, 3);
  EXPECT_EQ(good, 1);
}

}  // namespace
}  // namespace cistern::reconcile
