// When hanatd is asked: never so often that asking is its work.
#include "cli/top/schedule.hpp"

#include <chrono>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "cli/top/times.hpp"

namespace hanat::cli::top {
namespace {

using namespace std::chrono_literals;
using Work = Schedule::Work;
const Schedule::Time start{100h};

/// How often hanatd was asked for all in a time, where each takes `took` and `mark` happens every 10 ms.
template <typename Mark> int asked_for_all(Schedule::Span took, Schedule::Span time, const Mark& mark) {
  Schedule schedule;
  int number = 0;
  for (Schedule::Time now = start; now < start + time; now += 10ms) {
    mark(schedule);
    const auto work = schedule.due(now);
    if (!work) continue;
    if (!work->all) {
      schedule.some_done(now);
      continue;
    }
    ++number;
    now += took;
    schedule.all_done(now, took);
  }
  return number;
}

TEST(TopSchedule, AFewServicesAreAskedForOnceASecond) {
  EXPECT_EQ(asked_for_all(5ms, 10s, [](Schedule&) {}), 10);
}

TEST(TopSchedule, ManyServicesAreAskedForAFiftiethOfTheTime) {
  EXPECT_EQ(asked_for_all(300ms, 60s, [](Schedule&) {}), 4) << "every 15 s";
  EXPECT_EQ(Schedule::period_for(5s), 30s);
}

TEST(TopSchedule, AStormOfEventsCostsAFifthOfTheTime) {
  int number = 0;
  const auto mark = [&](Schedule& schedule) {
    for (int index = 0; index < 60; ++index) schedule.mark(fmt::format("service-{}", number++));
  };
  EXPECT_LE(asked_for_all(300ms, 15s, mark), 11);
  EXPECT_LE(asked_for_all(1ms, 10s, [](Schedule& schedule) { schedule.mark_all(); }), 50) << "five a second at most";
}

TEST(TopSchedule, WhatIsInViewIsAskedForEverySecondAndWhatHappenedAtOnce) {
  Schedule schedule;
  EXPECT_EQ(schedule.due(start), (Work{.all = true}));
  schedule.all_done(start, 300ms);
  schedule.set_visible({"web", "mail"});
  EXPECT_EQ(schedule.due(start + 500ms), std::nullopt);
  EXPECT_EQ(schedule.next(), start + 1s);
  EXPECT_EQ(schedule.due(start + 1s), (Work{.all = false, .names = {"mail", "web"}}));
  schedule.some_done(start + 1s);
  schedule.mark("shop");
  EXPECT_EQ(schedule.next(), start + 1200ms);
  EXPECT_EQ(schedule.due(start + 1200ms), (Work{.all = false, .names = {"shop"}}));
  schedule.some_done(start + 1200ms);
  EXPECT_EQ(schedule.next(), start + 2s);
}

TEST(TopSchedule, AHanatdThatDoesNotAnswerIsAskedTwiceASecond) {
  Schedule schedule;
  schedule.mark("web");
  ASSERT_TRUE(schedule.due(start));
  schedule.failed(start);
  EXPECT_EQ(schedule.due(start + 499ms), std::nullopt);
  EXPECT_EQ(schedule.due(start + 500ms), (Work{.all = true}));
}

TEST(TopTimes, DurationsTakeSixColumnsAtMost) {
  EXPECT_EQ(short_duration(0s), "0s");
  EXPECT_EQ(short_duration(-5s), "0s");
  EXPECT_EQ(short_duration(59s), "59s");
  EXPECT_EQ(short_duration(9min + 5s), "9m05s");
  EXPECT_EQ(short_duration(23h + 59min), "23h59m");
  EXPECT_EQ(short_duration(99 * 24h + 23h), "99d23h");
  EXPECT_EQ(short_duration(120 * 24h), "120d");
  EXPECT_EQ(short_duration(std::chrono::seconds::max()).size(), 6U);
}

} // namespace
} // namespace hanat::cli::top
