// The scheduler with real sockets: rate, limits, cancelling, suspension, load. Not here: single kinds (../kinds/).
#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "tests/netns/lab/probing.hpp"
#include "tests/netns/lab/scripted.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using probes::Outcome;
using probes::ProbeId;
using probes::ProbeResult;
using probes::Reason;

const auto hold = [](Client& client) { client.hold(); };

/// Due times that have passed: started or skipped.
std::uint64_t due_count(const Probing& probing) { return probing.scheduler->lateness().started + probing.scheduler->lateness().skipped; }

TEST(Scheduler, ProbesStartOnTheirGridWithoutDrift) {
  isolated([] {
    Probing probing;
    const auto began = Clock::now();
    probing.scheduler->add(tcp_probe(at("127.0.0.1", 9)), {.interval = 20ms}, 0s);
    const auto elapsed_intervals = [began] { return static_cast<std::uint64_t>((Clock::now() - began) / 20ms); };
    // With 20.3 ms from result to result the 100th start would be one and a half intervals late, and never catch up.
    EXPECT_TRUE(probing.run_until([&] { return due_count(probing) >= 100 && due_count(probing) >= elapsed_intervals(); }));
    EXPECT_LE(due_count(probing), elapsed_intervals() + 1);
  });
}

TEST(Scheduler, AtNormalRateOneRunIsInFlight) {
  isolated([] {
    ScriptedServer server{hold};
    Probing probing;
    probing.scheduler->add(http_probe(server.endpoint(), 100ms), {.interval = 10ms}, 0s);
    std::size_t peak = 0;
    EXPECT_TRUE(probing.run_until([&] {
      peak = std::max(peak, probing.scheduler->in_flight());
      return probing.results.size() >= 8;
    }));
    EXPECT_EQ(peak, 1U);
  });
}

TEST(Scheduler, InABurstAsManyRunsAreInFlightAsConfigured) {
  isolated([] {
    ScriptedServer server{hold};
    Probing probing;
    const auto id = probing.scheduler->add(http_probe(server.endpoint(), 300ms), {.interval = 10s}, 0s);
    ASSERT_TRUE(probing.run_until([&] { return probing.scheduler->in_flight() == 1; }));
    probing.scheduler->rate(id, {.interval = 20ms, .in_flight = 3});
    std::size_t peak = 0;
    EXPECT_TRUE(probing.run_until([&] {
      peak = std::max(peak, probing.scheduler->in_flight());
      return probing.results.size() >= 6;
    }));
    EXPECT_EQ(peak, 3U);
  });
}

TEST(Scheduler, AFasterRateCountsFromTheLastStart) {
  isolated([] {
    Probing probing;
    const auto id = probing.scheduler->add(tcp_probe(at("127.0.0.1", 9)), {.interval = 60s}, 0s);
    ASSERT_TRUE(probing.run_until([&] { return probing.results.size() == 1; }));
    const auto first = Clock::now();
    probing.scheduler->rate(id, {.interval = 200ms});
    ASSERT_TRUE(probing.run_until([&] { return probing.results.size() == 2; }));
    EXPECT_GE(Clock::now() - first, 180ms);
    probing.scheduler->rate(id, {.interval = 60s});
    probing.run_for(100ms);
    probing.scheduler->rate(id, {.interval = 50ms}); // has passed since the last start
    uv_run(&probing.loop, UV_RUN_NOWAIT);
    EXPECT_EQ(probing.results.size(), 3U);
  });
}

TEST(Scheduler, TheSameRateAgainChangesNothing) {
  isolated([] {
    Probing probing;
    const auto began = Clock::now();
    const auto id = probing.scheduler->add(tcp_probe(at("127.0.0.1", 9)), {.interval = 50ms}, 0s);
    EXPECT_TRUE(probing.run_until([&] {
      probing.scheduler->rate(id, {.interval = 50ms});
      return probing.results.size() >= 10;
    }));
    EXPECT_LE(due_count(probing), static_cast<std::uint64_t>((Clock::now() - began) / 50ms) + 1);
  });
}

TEST(Scheduler, TriggerStartsInTheNextTurnAndNeverFromInside) {
  isolated([] {
    Probing probing;
    const auto id = probing.scheduler->add(tcp_probe(at("198.18.0.1", 9)), {.interval = 60s}, 60s);
    probing.scheduler->trigger(id);
    EXPECT_TRUE(probing.results.empty()); // though the result (no route) is known at once
    uv_run(&probing.loop, UV_RUN_NOWAIT);
    ASSERT_EQ(probing.results.size(), 1U);
    EXPECT_EQ(probing.results[0].id, id);
    EXPECT_EQ(probing.results[0].result.reason, Reason::net_unreachable);
  });
}

TEST(Scheduler, TriggerWaitsForTheRunInFlight) {
  isolated([] {
    ScriptedServer server{hold};
    Probing probing;
    const auto id = probing.scheduler->add(http_probe(server.endpoint(), 200ms), {.interval = 60s}, 0s);
    ASSERT_TRUE(probing.run_until([&] { return probing.scheduler->in_flight() == 1; }));
    for (int again = 0; again < 5; ++again) probing.scheduler->trigger(id);
    ASSERT_TRUE(probing.run_until([&] { return probing.results.size() == 2; }));
    probing.run_for(300ms);
    EXPECT_EQ(probing.results.size(), 2U);
    EXPECT_EQ(probing.scheduler->lateness().started, 2U);
  });
}

TEST(Scheduler, ARemovedProbeHasNoResult) {
  isolated([] {
    ScriptedServer silent{hold};
    Probing probing;
    std::vector<ProbeId> ids;
    for (int count = 0; count < 50; ++count) {
      ids.push_back(probing.scheduler->add(http_probe(silent.endpoint(), 200ms), {.interval = 10ms, .in_flight = 3}, 10ms));
      ids.push_back(probing.scheduler->add(tcp_probe(at("127.0.0.1", 9)), {.interval = 1ms}, 10ms));
    }
    ASSERT_TRUE(probing.run_until([&] { return probing.scheduler->in_flight() > 0 && !probing.results.empty(); }));
    for (const auto id : ids) probing.scheduler->remove(id);
    EXPECT_EQ(probing.scheduler->in_flight(), 0U);
    probing.results.clear();
    probing.run_for(300ms);
    EXPECT_TRUE(probing.results.empty());
  });
}

TEST(Scheduler, AResultMayRemoveAddAndRateAnyProbe) {
  isolated([] {
    ScriptedServer server{{}};
    Probing probing;
    std::map<ProbeId, Endpoint> live;
    const auto add = [&](const Endpoint& endpoint, probes::Kind kind) {
      live.emplace(probing.scheduler->add(http_probe(endpoint, 50ms, kind), {.interval = 2ms, .in_flight = 2}, 2ms), endpoint);
    };
    using enum probes::Kind;
    const std::array kinds{tcp, http, https, icmp, udp, dns, grpc};
    unsigned count = 0;
    probing.on_result = [&](ProbeId id, const ProbeResult&) {
      EXPECT_TRUE(live.contains(id)) << "the result of a removed probe";
      ++count;
      const auto other = std::next(live.begin(), static_cast<long>(count % live.size()))->first;
      probing.scheduler->rate(other, {.interval = std::chrono::milliseconds{1 + count % 5}, .in_flight = 1 + count % 3});
      probing.scheduler->trigger(id);
      const auto victim = count % 3 == 0 ? id : other;
      probing.scheduler->remove(victim);
      live.erase(victim);
      add(count % 2 == 0 ? server.endpoint() : at("127.0.0.1", 9), kinds[count % kinds.size()]);
      probing.scheduler->remove(victim); // twice is once
    };
    for (unsigned number = 0; number < 30; ++number) add(server.endpoint(), kinds[number % kinds.size()]);
    EXPECT_TRUE(probing.run_until([&] { return count > 300; }, 30s));
    EXPECT_EQ(live.size(), 30U);
  });
}

TEST(Scheduler, EqualProbesShareOneRunAndAllSubscribersGetItsResults) {
  isolated([] {
    ScriptedServer server{{}};
    Probing probing;
    std::vector<ProbeId> subscribers;
    for (int count = 0; count < 1000; ++count)
      subscribers.push_back(probing.scheduler->add(tcp_probe(server.endpoint()), {.interval = 100ms}, 0s));
    ASSERT_TRUE(probing.run_until([&] { return probing.results.size() >= 10 * subscribers.size(); }));
    std::map<ProbeId, std::size_t> results;
    for (const auto& [id, result] : probing.results) ++results[id];
    const auto finished = probing.scheduler->lateness().started - probing.scheduler->in_flight();
    EXPECT_EQ(results.size(), subscribers.size());
    for (const auto& [id, times] : results) EXPECT_EQ(times, finished);
    EXPECT_LE(server.connections(), probing.scheduler->lateness().started);
  });
}

TEST(Scheduler, EqualProbesRunAtTheFastestRate) {
  isolated([] {
    ScriptedServer server{{}};
    Probing probing;
    const auto probe = tcp_probe(server.endpoint());
    const auto slow = probing.scheduler->add(probe, {.interval = 60s}, 0s);
    ASSERT_TRUE(probing.run_until([&] { return probing.results.size() == 1; }));
    const auto fast = probing.scheduler->add(probe, {.interval = 20ms}, 60s);
    ASSERT_TRUE(probing.run_until([&] { return probing.results.size() >= 21; })) << "ten times for both";
    EXPECT_EQ(&probing.scheduler->probe(slow), &probing.scheduler->probe(fast));
    probing.scheduler->remove(fast);
    probing.results.clear();
    probing.run_for(100ms);
    EXPECT_LE(probing.results.size(), 1U); // slow again
    probing.scheduler->trigger(slow);
    ASSERT_TRUE(probing.run_until([&] { return !probing.results.empty(); }));
    EXPECT_EQ(probing.results.back().id, slow);
    probing.scheduler->remove(slow);
    EXPECT_EQ(probing.scheduler->in_flight(), 0U);
  });
}

TEST(Scheduler, ASubscriberMayRemoveTheProbeOfAllOthers) {
  isolated([] {
    ScriptedServer server{{}};
    Probing probing;
    std::vector<ProbeId> subscribers;
    for (int count = 0; count < 5; ++count)
      subscribers.push_back(probing.scheduler->add(tcp_probe(server.endpoint()), {.interval = 5ms}, 0s));
    probing.on_result = [&](ProbeId, const ProbeResult&) {
      for (const ProbeId id : std::exchange(subscribers, {})) probing.scheduler->remove(id);
    };
    ASSERT_TRUE(probing.run_until([&] { return !probing.results.empty(); }));
    probing.run_for(50ms);
    EXPECT_EQ(probing.results.size(), 1U);
  });
}

TEST(Scheduler, StartsMissedWhileSuspendedAreNotMadeUpFor) {
  isolated([] {
    Probing probing;
    for (std::size_t count = 0; count < 100; ++count)
      probing.scheduler->add(variant(tcp_probe(at("127.0.0.1", 9)), count), {.interval = 200ms}, 1s);
    ASSERT_TRUE(probing.run_until([&] { return due_count(probing) >= 100; }));
    probing.block_loop(2s);
    const auto resumed = Clock::now();
    const auto before = probing.scheduler->lateness().started;
    const auto started = [&] { return probing.scheduler->lateness().started - before; };
    EXPECT_TRUE(probing.run_until([&] { return started() >= 80; }));
    const auto intervals = static_cast<std::uint64_t>((Clock::now() - resumed) / 200ms);
    EXPECT_LE(started(), 100 * intervals + 150); // once per interval, spread as before, not eleven times at once
    EXPECT_GE(probing.scheduler->lateness().skipped, 800U);
  });
}

TEST(Scheduler, ManyProbesDoNotStartTogether) {
  isolated([] {
    Probing probing;
    const auto began = Clock::now();
    std::size_t too_early = 0;
    probing.on_result = [&](ProbeId, const ProbeResult&) {
      const auto elapsed = static_cast<std::size_t>((Clock::now() - began) / 1ms);
      if (probing.results.size() > 3 * elapsed + 200) ++too_early; // two per millisecond are expected
    };
    for (std::size_t count = 0; count < 2000; ++count)
      probing.scheduler->add(variant(tcp_probe(at("127.0.0.1", 9)), count), {.interval = 10s}, 1s);
    EXPECT_TRUE(probing.run_until([&] { return probing.results.size() > 1800; }));
    EXPECT_EQ(too_early, 0U);
  });
}

TEST(Scheduler, ItsDestructionCancelsEverything) {
  isolated([] {
    ScriptedServer silent{hold};
    using enum probes::Kind;
    for (const auto kind : {tcp, http, https, icmp, udp, dns, grpc}) {
      bool destroyed = false;
      unsigned late_results = 0;
      std::optional<Probing> probing{std::in_place};
      probing->on_result = [&](ProbeId, const ProbeResult&) { late_results += destroyed ? 1U : 0U; };
      for (std::size_t count = 0; count < 20; ++count)
        probing->scheduler->add(variant(http_probe(silent.endpoint(), 5s, kind), count), {.interval = 5ms, .in_flight = 3}, 0s);
      ASSERT_TRUE(probing->run_until([&] { return probing->scheduler->lateness().started >= 40; })) << to_text(kind);
      destroyed = true;
      probing.reset(); // fails the test when a handle is left open
      EXPECT_EQ(late_results, 0U) << to_text(kind);
    }
  });
}

TEST(Scheduler, TwoThousandTcpProbesASecondPass) {
  isolated([] {
    ScriptedServer server{{}};
    Probing probing;
    for (std::size_t count = 0; count < 2000; ++count)
      probing.scheduler->add(variant(tcp_probe(server.endpoint(), 500ms), count), {.interval = 1s}, 1s);
    rusage before{}, after{};
    const auto began = Clock::now();
    getrusage(RUSAGE_THREAD, &before);
    EXPECT_TRUE(probing.run_until([&] { return probing.results.size() >= 4800; }, 30s));
    getrusage(RUSAGE_THREAD, &after);
    const std::chrono::duration<double> elapsed = Clock::now() - began;
    const auto cpu = [](const rusage& usage) {
      return std::chrono::seconds{usage.ru_utime.tv_sec + usage.ru_stime.tv_sec} +
             std::chrono::microseconds{usage.ru_utime.tv_usec + usage.ru_stime.tv_usec};
    };
    print_lateness(probing, "2,000 tcp probes a second");
    std::printf("  cpu of the loop's thread: %.1f %%\n", std::chrono::duration<double>(cpu(after) - cpu(before)) / elapsed * 100);
    const auto passed =
        std::ranges::count_if(probing.results, [](const auto& received) { return received.result.outcome == Outcome::pass; });
    EXPECT_EQ(static_cast<std::size_t>(passed), probing.results.size());
  });
}

} // namespace
} // namespace hanat::test
