// Sums of the kernel's counters, whose elements come, go, and begin anew. Not here: reading them (tests/netns).
#include "daemon/report/flow_totals.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace hanat::test {
namespace {

nat::FlowCount count(const char* element, const char* server, std::uint64_t flows) {
  return {.element = element, .comment = server, .flows = flows};
}

class FlowTotalsTest : public testing::Test {
protected:
  void read(const std::vector<nat::FlowCount>& counts) { totals.add(counts); }
  FlowTotals totals;
};

TEST_F(FlowTotalsTest, WhatCameBeforeTheFirstReadDoesNotCount) {
  read({count("dnat4 a", "web primary", 1'000)});
  EXPECT_EQ(sum_of(totals.sums(), "web", "primary"), 0U);
  EXPECT_EQ(sum_of(totals.sums(), "web", "backup"), 0U);
}

TEST_F(FlowTotalsTest, TheListenersOfAServiceAddUp) {
  read({count("dnat4 a", "web primary", 1'000), count("dnat6 a", "web primary", 10)});
  read({count("dnat4 a", "web primary", 1'005), count("dnat6 a", "web primary", 12), count("dnat4 b", "mail primary", 3)});
  EXPECT_EQ(sum_of(totals.sums(), "web", "primary"), 7U);
  EXPECT_EQ(sum_of(totals.sums(), "mail", "primary"), 3U) << "an element that came later counts from zero";
}

TEST_F(FlowTotalsTest, AFlipBeginsACounterAnew) {
  read({count("dnat4 a", "web primary", 1'000)});
  read({count("dnat4 a", "web primary", 1'010)});
  read({count("dnat4 a", "web backup", 2'000)});
  EXPECT_EQ(sum_of(totals.sums(), "web", "primary"), 10U);
  EXPECT_EQ(sum_of(totals.sums(), "web", "backup"), 2'000U);
  read({count("dnat4 a", "web primary", 5)});
  read({count("dnat4 a", "web primary", 3)}); // there and back again between two reads
  EXPECT_EQ(sum_of(totals.sums(), "web", "primary"), 18U);
  EXPECT_EQ(sum_of(totals.sums(), "web", "backup"), 2'000U);
}

TEST_F(FlowTotalsTest, ACounterThatGoesOnBelongsToWhoHasTheTraffic) {
  const auto of = [](const char* server, std::uint64_t flows) {
    nat::FlowCount one = count("flows4 a", server, flows);
    one.restarts = false;
    return one;
  };
  read({of("web primary", 1'000)});
  read({of("web primary", 1'010)});
  read({of("web backup", 1'013)});
  EXPECT_EQ(sum_of(totals.sums(), "web", "primary"), 10U);
  EXPECT_EQ(sum_of(totals.sums(), "web", "backup"), 3U);
  read({of("", 1'020)});
  read({of("web primary", 1'021)});
  EXPECT_EQ(sum_of(totals.sums(), "web", "primary"), 1U)
      << "a service without a server counts from zero, and what was dropped counts for nobody";
  read({of("web primary", 4)});
  EXPECT_EQ(sum_of(totals.sums(), "web", "primary"), 5U) << "the table was loaded anew";
}

TEST_F(FlowTotalsTest, AServiceThatIsGoneIsForgotten) {
  read({count("dnat4 a", "web primary", 0), count("dnat4 b", "mail primary", 0)});
  read({count("dnat4 a", "web primary", 5), count("dnat4 b", "mail primary", 6)});
  read({count("dnat4 b", "mail primary", 6)});
  EXPECT_EQ(sum_of(totals.sums(), "web", "primary"), 0U);
  EXPECT_EQ(sum_of(totals.sums(), "mail", "primary"), 6U);
}

} // namespace
} // namespace hanat::test
