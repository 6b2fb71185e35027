// A reload in slices: how much the loop gives it at a time, that nothing is changed while a transaction is under way, and that its event
// comes before what follows from it. Not here: which services belong together (reload_slices_test).
#include "daemon/failover/reload_queue.hpp"

#include <fmt/format.h>

#include "tests/unit/daemon/failover/reload_fixture.hpp"

namespace hanat::test {
namespace {

class ReloadQueueTest : public ReloadTest {
protected:
  /// Each look at the clock is one step later.
  Clock::duration step = 1ms;
  ReloadQueue queue{registry, reload, outbox, [this] { return now += step; }};
  std::vector<Reloaded> done;

  static std::vector<ServiceConfig> many(std::size_t number) {
    std::vector<ServiceConfig> services;
    for (std::size_t index = 0; index < number; ++index)
      services.push_back(small_service(fmt::format("s{}", index), static_cast<std::uint16_t>(1 + index)));
    return services;
  }
  void add(std::vector<ServiceConfig> services, const std::string& by = "root", bool plan_only = false) {
    queue.add({.next = std::make_shared<const Config>(config_of(std::move(services))),
               .by = by,
               .plan_only = plan_only,
               .done = [this](Reloaded reloaded) { done.push_back(std::move(reloaded)); }});
  }
  /// Turns of the loop until it is over; the most services that one of them has changed.
  std::size_t most_in_a_turn() {
    std::size_t most = 0;
    for (int turn = 0; turn < 1'000 && queue.next_wakeup(); ++turn, now += 2ms) {
      queue.run(false);
      most = std::max(most, registry.dirty().size());
      run_until_idle();
    }
    return most;
  }
};

TEST_F(ReloadQueueTest, ManyServicesAreChangedAFewAtATime) {
  start(many(10));
  run_until_idle();
  outbox = {};
  add(many(1'000));
  EXPECT_EQ(most_in_a_turn(), 32U);
  ASSERT_EQ(done.size(), 1U);
  EXPECT_EQ(done[0].added.size(), 990U);
  EXPECT_EQ(registry.services().size(), 1'000U);
  EXPECT_FALSE(queue.next_wakeup());
}

TEST_F(ReloadQueueTest, ThePlanIsWorkedOutAFewStepsAtATime) {
  start(many(1'000));
  run_until_idle();
  auto next = many(1'000);
  for (ServiceConfig& service : next) service.on_none = OnNone::drop;
  add(next, "root", true);
  std::size_t turns = 0;
  for (; queue.next_wakeup() && turns < 1'000; ++turns, now += 2ms) queue.run(false);
  EXPECT_GT(turns, 8U) << "a step takes a millisecond here, and a turn two";
  ASSERT_EQ(done.size(), 1U);
  EXPECT_EQ(done[0].plan->changes.size(), 1'000U);
  EXPECT_TRUE(registry.dirty().empty()) << "nothing was changed";
}

TEST_F(ReloadQueueTest, BetweenTwoSlicesIsAPause) {
  step = 0ms;
  start(many(1));
  run_until_idle();
  add(many(200));
  EXPECT_TRUE(queue.run(false));
  EXPECT_FALSE(queue.run(false));
  EXPECT_EQ(queue.next_wakeup(), now + 1ms);
  now += 1ms;
  EXPECT_TRUE(queue.run(false));
}

TEST_F(ReloadQueueTest, WhileAServerIsInDoubtItWaits) {
  step = 0ms;
  start(many(1));
  run_until_idle();
  add(many(200));
  outbox.doubt.until = now + 20ms;
  EXPECT_FALSE(queue.run(false));
  EXPECT_EQ(queue.next_wakeup(), now + 20ms);
  now += 20ms;
  EXPECT_TRUE(queue.run(false));
}

TEST_F(ReloadQueueTest, AServerIsInDoubtForAMomentAndNotForEver) {
  start({probed(small_service("web", 80))});
  ServiceState& web = service("web");
  for (const std::size_t server : {0U, 1U}) judge(web, server, probes::Outcome::pass);
  run_until_idle();
  ASSERT_EQ(web.current, 0U);
  const Time began = now += 10s;
  health.on_kernel_event({.server = web.config->servers[1].addresses.front()}, now); // nobody waits for it
  EXPECT_LT(outbox.doubt.until, began);
  const auto event = probes::KernelEvent{.server = web.config->servers[0].addresses.front()};
  health.on_kernel_event(event, now);
  EXPECT_EQ(outbox.doubt.until, began + 20ms);
  const auto result = [&](probes::Outcome outcome) {
    health.on_probe_result(web.servers[0].probes.front().id,
                           {.outcome = outcome, .reason = probes::Reason::refused, .latency = {}, .detail = {}}, now);
  };
  for (; now < began + 140ms; now += 10ms) { // it fails and passes, and is never down
    result(probes::Outcome::fail);
    for (int pass = 0; pass < 3; ++pass) result(probes::Outcome::pass);
  }
  EXPECT_LE(outbox.doubt.until, began + 50ms);
}

TEST_F(ReloadQueueTest, NothingIsChangedWhileATransactionIsUnderWay) {
  start({});
  add(many(3));
  for (int turn = 0; turn < 20; ++turn, now += 2ms) queue.run(true);
  EXPECT_TRUE(registry.services().empty());
  EXPECT_TRUE(done.empty());
  most_in_a_turn();
  EXPECT_EQ(registry.services().size(), 3U);
}

TEST_F(ReloadQueueTest, TheEventComesFirstAndOneReloadFollowsTheOther) {
  start({});
  outbox = {};
  add(many(2), "ann");
  add(many(1), "bob");
  most_in_a_turn();
  ASSERT_EQ(done.size(), 2U);
  EXPECT_EQ(done[0].added, (Names{"s0", "s1"}));
  EXPECT_EQ(done[1].removed, Names{"s1"});
  ASSERT_FALSE(outbox.events.empty());
  EXPECT_EQ(text(outbox.events.front()), "configuration read again (by ann): 2 services; 2 added (s0, s1)");
  EXPECT_EQ(events("by bob"), 1U);
}

} // namespace
} // namespace hanat::test
