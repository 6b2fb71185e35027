// Counts of results and of latencies. Not here: the metrics made of them (metrics_text_test).
#include "daemon/decision/probe_totals.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hanat::totals {
namespace {

using namespace std::chrono_literals;
using probes::Outcome;
using probes::Reason;
using testing::ElementsAre;

probes::ProbeResult result(Outcome outcome, Reason reason, Clock::duration latency = 1ms) {
  return {.outcome = outcome, .reason = reason, .latency = latency, .detail = {}};
}

TEST(ProbeTotals, CountResultsByOutcomeAndReason) {
  ProbeTotals totals;
  EXPECT_TRUE(totals.results().empty());
  for (int number = 0; number < 3; ++number) totals.count(result(Outcome::pass, Reason::connected));
  totals.count(result(Outcome::fail, Reason::timeout));
  totals.count(result(Outcome::inconclusive, Reason::no_carrier));
  totals.count(result(Outcome::fail, Reason::no_carrier));
  totals.count(result(Outcome::pass, Reason::slow));
  totals.count(result(Outcome::fail, Reason::slow));
  totals.count(result(Outcome::full, Reason::full));
  using Count = ProbeTotals::ResultCount;
  EXPECT_THAT(totals.results(),
              testing::UnorderedElementsAre(Count{Outcome::pass, Reason::connected, 3}, Count{Outcome::fail, Reason::timeout, 1},
                                            Count{Outcome::fail, Reason::no_carrier, 1},
                                            Count{Outcome::inconclusive, Reason::no_carrier, 1}, Count{Outcome::pass, Reason::slow, 1},
                                            Count{Outcome::fail, Reason::slow, 1}, Count{Outcome::full, Reason::full, 1}));
}

TEST(ProbeTotals, CountHowLongPassesTook) {
  ProbeTotals totals;
  for (const Clock::duration latency :
       {Clock::duration{0}, Clock::duration{1ms}, Clock::duration{1001us}, Clock::duration{100ms}, Clock::duration{5s}})
    totals.count(result(Outcome::pass, Reason::answered, latency));
  totals.count(result(Outcome::fail, Reason::timeout, 1s));
  EXPECT_THAT(totals.passes().latencies(), ElementsAre(2, 1, 0, 1, 0, 0, 1)) << "a limit is inclusive, and a fail is not counted";
  EXPECT_NEAR(totals.passes().sum_s(), 5.102001, 1e-9);
}

} // namespace
} // namespace hanat::totals
