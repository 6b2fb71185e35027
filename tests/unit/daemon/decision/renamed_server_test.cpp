// The target's name has another address: when the new one may have the traffic. Not here: all other rules (failure_window_test), real
// names (names_test of netns).
#include "daemon/decision/failure_window.hpp"

#include <gtest/gtest.h>

namespace hanat {
namespace {

using namespace std::chrono_literals;
using probes::Outcome;

constexpr Time began{1'000s};
const DownRule three_in_ten{.fails = 3, .within = 10s};
const UpRule two_for_five{.passes = 2, .stable_for = 5s};

FailureWindow failed_window() {
  FailureWindow window{three_in_ten, two_for_five};
  for (const auto at : {1s, 2s, 3s}) window.record(Outcome::fail, began + at);
  return window;
}

TEST(RenamedServer, IsTheSameOneAndNeedsItsPassesAlone) {
  const Context renamed{.target_works = true, .preferred = true, .renamed = true};
  FailureWindow window{three_in_ten, two_for_five};
  window.record(Outcome::pass, began);
  window.evaluate(renamed, began);
  EXPECT_EQ(window.health(), Health::unknown) << "one pass of two";
  window.record(Outcome::pass, began + 50ms);
  window.evaluate(renamed, began + 50ms);
  EXPECT_EQ(window.health(), Health::up);
  FailureWindow failed = failed_window();
  failed.record(Outcome::pass, began + 4s);
  failed.record(Outcome::pass, began + 5s);
  failed.evaluate(renamed, began + 5s);
  EXPECT_EQ(failed.health(), Health::down) << "one that has failed is to be stable";
}

} // namespace
} // namespace hanat
