// What the history says was cut, nudged and drained by each flip adds up to the totals of the service, after a thousand random moves whose
// cuts are overtaken by others. Not here: which flows leave (drains_test, evictions_test), the same on a real kernel (tests/netns).
#include <random>

#include "daemon/report/history.hpp"
#include "daemon/report/make_status.hpp"
#include "tests/unit/daemon/failover/reload_fixture.hpp"

namespace hanat::test {
namespace {

class HistoryTotals : public ReloadTest, public testing::WithParamInterface<unsigned> {
protected:
  std::mt19937 random{GetParam()};
  HistoryRing history;

  unsigned below(unsigned bound) { return static_cast<unsigned>(random() % bound); }

  CutResult any_result() {
    CutResult result;
    for (const Mapping& mapping : job().cut)
      if (below(100) < 60) result.deleted[mapping] = {.entries = 1 + below(50)};
    for (const Mapping& mapping : job().cut_unconnected)
      if (below(100) < 20) result.deleted[mapping].entries += 1 + below(3);
    for (const Mapping& mapping : job().nudge)
      if (below(100) < 50) result.nudged[mapping] = 1 + below(20);
    result.counted.emplace();
    for (const Mapping& mapping : job().count) (*result.counted)[mapping] = below(5);
    return result;
  }
  /// The traffic goes to the other server, or comes back from none.
  void move(ServiceState& one) {
    const std::size_t server = below(2);
    judge(one, server, below(2) == 0 ? probes::Outcome::pass : probes::Outcome::fail);
    judge(one, 1 - server, below(2) == 0 ? probes::Outcome::pass : probes::Outcome::fail);
    run_until_idle();
  }
  void publish() {
    for (const Event& event : std::exchange(outbox.events, {}))
      if (auto entry = history_entry_of(event); entry && entry->flip) history.add(std::move(*entry)); // the others would push them out
  }
};

TEST_P(HistoryTotals, AreTheSumOfItsFlipsAfterAThousandRandomMoves) {
  ServiceConfig drains = probed(small_service("drains", 2));
  drains.on_failover = drains.on_failback = a_minute;
  ServiceConfig mixed = probed(small_service("mixed", 3));
  mixed.listen.push_back({address("203.0.113.20"), Protocol::udp, 3});
  start({probed(small_service("plain", 1)), drains, mixed});
  std::uint64_t flips = 0;
  const auto count_flips = [&] {
    std::uint64_t sum = 0;
    for (const auto& one : registry.services()) sum += one->flips;
    return sum;
  };
  for (; flips < 1'000; flips = count_flips()) {
    move(*registry.services()[below(3)]);
    if (!worker.busy()) run();
    if (worker.busy() && below(3) > 0) finish(any_result());
    now += std::chrono::milliseconds{below(1'500)};
    publish();
  }
  if (worker.busy()) finish(any_result());
  for (int turn = 0; turn < 300; ++turn, now += 1s) {
    run_until_idle();
    while (run()) {
      finish(turn < 5 ? any_result() : CutResult{});
      run_until_idle();
    }
    publish();
  }
  ASSERT_EQ(history.begin(), 0U) << "all of them are still there";
  for (const auto& one : registry.services()) {
    CutStatus cut;
    std::uint64_t nudged = 0, drained = 0, number = 0;
    for (std::uint64_t at = history.begin(); at < history.end(); ++at) {
      const HistoryEntry& entry = history[at];
      if (entry.kind != "flip" || entry.service != one->config->name) continue;
      ++number;
      cut.tcp += entry.flip->cut.tcp;
      cut.udp += entry.flip->cut.udp;
      nudged += entry.flip->nudged;
      drained += entry.flip->drained;
      EXPECT_TRUE(entry.flip->cut_ms) << entry.at << " of " << entry.service << " is cut for ever";
    }
    const ServiceStatus status = report(*one, now);
    EXPECT_EQ(number, one->flips) << one->config->name;
    EXPECT_EQ(cut.tcp, status.totals.cut.tcp) << one->config->name;
    EXPECT_EQ(cut.udp, status.totals.cut.udp) << one->config->name;
    EXPECT_EQ(nudged, status.totals.nudged) << one->config->name;
    EXPECT_EQ(drained, status.totals.drained) << one->config->name;
    EXPECT_GT(cut.tcp, 100U) << one->config->name;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, HistoryTotals, testing::Range(1U, 13U));

} // namespace
} // namespace hanat::test
