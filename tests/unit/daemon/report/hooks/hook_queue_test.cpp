// When hooks are called: one call at a time, and what comes meanwhile becomes one call. Not here: what they are told (hook_event_test).
#include "daemon/report/hooks/hook_queue.hpp"

#include <string>

#include <gtest/gtest.h>

namespace hanat {
namespace {

using namespace std::chrono_literals;

class HookQueues : public testing::Test {
protected:
  void add(const std::string& owner, const std::string& to = "backup") {
    queue.add(owner, {.at = WallTime{std::chrono::milliseconds{++events}}, .event = "flip", .service = owner, .to = to}, now);
  }
  /// The call that is made at the next moment at which one may be.
  HookBatch next() {
    const auto at = queue.next_wakeup();
    if (!at) {
      ADD_FAILURE() << "none is due";
      return {};
    }
    now = std::max(now, *at);
    auto batch = queue.next(now);
    EXPECT_TRUE(batch);
    return batch.value_or(HookBatch{});
  }

  HookQueue queue;
  Time now{1h};
  int events = 0;
};

TEST_F(HookQueues, ACallGathersForAMoment) {
  add("web", "backup");
  EXPECT_FALSE(queue.next(now));
  EXPECT_EQ(queue.next_wakeup(), now + HookQueue::gather);
  add("web", "primary");
  EXPECT_EQ(queue.waiting(), 2U);
  const HookBatch batch = next();
  EXPECT_EQ(batch.owner, "web");
  EXPECT_EQ(batch.count, 2U);
  EXPECT_EQ(batch.first_at, WallTime{1ms});
  ASSERT_EQ(batch.events.size(), 2U);
  EXPECT_EQ(batch.events.back().to, "primary");
  EXPECT_EQ(queue.waiting(), 0U);
  EXPECT_EQ(queue.running(), 1U);
  EXPECT_FALSE(queue.next_wakeup());
}

TEST_F(HookQueues, WhatComesWhileItRunsIsOneCallAfterwards) {
  add("web");
  next();
  for (int flip = 0; flip < 99; ++flip) add("web", flip == 98 ? "none" : "backup");
  now += 5s;
  EXPECT_FALSE(queue.next(now)) << "it still runs";
  queue.ended("web", now);
  const auto batch = queue.next(now);
  ASSERT_TRUE(batch);
  EXPECT_EQ(batch->count, 99U);
  EXPECT_EQ(batch->events.size(), HookQueue::most_events);
  EXPECT_EQ(batch->events.back().to, "none");
  EXPECT_EQ(batch->first_at, WallTime{2ms});
}

TEST_F(HookQueues, CallsOfOneOwnerAreASecondApart) {
  add("web");
  next();
  const Time started = now;
  queue.ended("web", now += 10ms);
  EXPECT_FALSE(queue.next_wakeup());
  add("web");
  EXPECT_EQ(queue.next_wakeup(), started + HookQueue::spacing);
  add("mail");
  EXPECT_EQ(next().owner, "mail") << "another one does not wait for it";
  EXPECT_EQ(next().owner, "web");
  EXPECT_EQ(now, started + HookQueue::spacing);
}

TEST_F(HookQueues, OwnersAreCalledInTheOrderInWhichTheyAreDue) {
  for (const char* name : {"c", "a", "b"}) {
    add(name);
    now += 1ms;
  }
  for (const char* name : {"c", "a", "b"}) EXPECT_EQ(next().owner, name);
}

TEST_F(HookQueues, SomeOfServicesRunAtOnceAndThatOfTheDaemonWaitsForNoneOfThem) {
  for (std::size_t number = 0; number <= HookQueue::at_once; ++number, now += 1ms) add("service" + std::to_string(number));
  for (std::size_t number = 0; number < HookQueue::at_once; ++number) next();
  EXPECT_FALSE(queue.next_wakeup()) << "the last one waits";
  EXPECT_FALSE(queue.next(now));
  add("");
  EXPECT_EQ(next().owner, "");
  EXPECT_EQ(queue.running(), HookQueue::at_once + 1);
  queue.ended("", now);
  EXPECT_FALSE(queue.next_wakeup());
  queue.ended("service3", now);
  EXPECT_EQ(next().owner, "service" + std::to_string(HookQueue::at_once));
}

TEST_F(HookQueues, ManyOwnersThatComeAndGoLeaveNothingBehind) {
  for (int round = 0; round < 3; ++round) {
    for (int number = 0; number < 1'000; ++number) add("service" + std::to_string(number));
    std::uint64_t told = 0;
    while (queue.waiting() > 0) {
      const HookBatch batch = next();
      told += batch.count;
      queue.ended(batch.owner, now);
    }
    EXPECT_EQ(told, 1'000U);
    now += 1h;
  }
  EXPECT_EQ(queue.running(), 0U);
  EXPECT_FALSE(queue.next_wakeup());
}

} // namespace
} // namespace hanat
