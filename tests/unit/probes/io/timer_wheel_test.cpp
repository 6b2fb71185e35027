// Timers against a list of them that is searched from its beginning to its end.
#include "probes/io/timer_wheel.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace hanat::probes {
namespace {

using Tick = TimerWheel::Tick;

class Alarm final : public TimerWheel::Timer {
public:
  std::function<void()> ring;

private:
  void on_due() override {
    if (ring) ring();
  }
};

class TimerWheelTest : public testing::Test {
protected:
  /// Counts the ticks at which it rings.
  std::unique_ptr<Alarm> alarm() {
    auto made = std::make_unique<Alarm>();
    made->ring = [this] { rang.push_back(now); };
    return made;
  }
  /// As a loop does that sleeps until next().
  void run_until(Tick end) {
    for (auto next = wheel.next(); next && *next <= end; next = wheel.next()) wheel.advance(now = std::max(now, *next));
    wheel.advance(now = end);
  }

  static constexpr Tick start = 1'234'567;
  Tick now = start;
  TimerWheel wheel{start};
  std::vector<Tick> rang;
};

TEST_F(TimerWheelTest, EveryTimerIsDueAtItsTick) {
  for (const Tick in : std::initializer_list<Tick>{1, 2, 63, 64, 65, 4'095, 4'096, 4'097, 300'000, 86'400'000}) {
    rang.clear();
    const auto one = alarm();
    const Tick due = now + in;
    wheel.start(*one, due);
    EXPECT_TRUE(one->is_started());
    run_until(due - 1);
    EXPECT_TRUE(rang.empty()) << in;
    run_until(due);
    EXPECT_EQ(rang, std::vector{due}) << in;
    EXPECT_FALSE(one->is_started());
    EXPECT_EQ(wheel.next(), std::nullopt);
  }
}

TEST_F(TimerWheelTest, WhatIsDueAlreadyWaitsForTheNextCall) {
  const auto one = alarm();
  one->ring = [&] {
    rang.push_back(now);
    wheel.start(*one, now);
  };
  wheel.start(*one, start - 5);
  EXPECT_TRUE(rang.empty());
  EXPECT_EQ(wheel.next(), start);
  wheel.advance(now);
  EXPECT_EQ(rang.size(), 1U);
  wheel.advance(now);
  EXPECT_EQ(rang.size(), 2U);
}

TEST_F(TimerWheelTest, OneCallCatchesUpInTheOrderOfTicks) {
  const auto late = alarm(), soon = alarm(), sooner = alarm();
  std::vector<int> order;
  late->ring = [&] { order.push_back(3); };
  soon->ring = [&] { order.push_back(2); };
  sooner->ring = [&] { order.push_back(1); };
  wheel.start(*late, start + 5'000);
  wheel.start(*soon, start + 70);
  wheel.start(*sooner, start + 3);
  wheel.advance(start + 10'000);
  EXPECT_EQ(order, (std::vector{1, 2, 3}));
}

TEST_F(TimerWheelTest, ATimerMayStopAndEndOthersThatAreDueWithIt) {
  const auto first = alarm(), second = alarm();
  auto third = alarm();
  first->ring = [&] {
    second->stop();
    third.reset();
  };
  for (Alarm* one : {first.get(), second.get(), third.get()}) wheel.start(*one, start + 64);
  run_until(start + 100);
  EXPECT_TRUE(rang.empty());
  EXPECT_EQ(wheel.next(), std::nullopt);
}

TEST_F(TimerWheelTest, StartingItAnewMovesIt) {
  const auto one = alarm();
  wheel.start(*one, start + 10);
  wheel.start(*one, start + 1'000);
  run_until(start + 2'000);
  EXPECT_EQ(rang, std::vector{start + 1'000});
}

TEST_F(TimerWheelTest, ItsEndStopsAll) {
  const auto one = alarm();
  {
    TimerWheel other{0};
    other.start(*one, 100);
  }
  EXPECT_FALSE(one->is_started());
}

TEST_F(TimerWheelTest, WhoeverWaitsForTheNextTickHearsOfChanges) {
  int changes = 0;
  TimerWheel told{start, [&] { ++changes; }};
  const auto one = alarm();
  told.start(*one, start + 10);
  EXPECT_EQ(changes, 1);
  one->stop();
  EXPECT_EQ(changes, 2);
  EXPECT_EQ(told.next(), std::nullopt);
}

TEST_F(TimerWheelTest, ThousandsAreDueWhenASlowListSaysSo) {
  std::minstd_rand random{7};
  std::array<Alarm, 500> alarms;
  std::array<std::optional<Tick>, alarms.size()> due; // the slow list
  std::size_t wrong = 0, right = 0;
  for (std::size_t index = 0; index < alarms.size(); ++index)
    alarms[index].ring = [&, index] {
      ++(due[index] && *due[index] <= now ? right : wrong);
      due[index].reset();
    };
  for (int step = 0; step < 200'000; ++step) {
    const std::size_t index = random() % alarms.size();
    if (random() % 4 == 0) {
      alarms[index].stop();
      due[index].reset();
    } else {
      due[index] = now + random() % (Tick{1} << random() % 18);
      wheel.start(alarms[index], *due[index]);
    }
    if (random() % 8 != 0) continue;
    now += random() % (Tick{1} << random() % 12);
    wheel.advance(now);
    for (const auto& left : due)
      if (left && *left <= now) ++wrong;
  }
  EXPECT_EQ(wrong, 0U);
  EXPECT_GT(right, 10'000U);
}

} // namespace
} // namespace hanat::probes
