// When a sample of clients says that those wait who were served until now.
#include "daemon/decision/client_waits.hpp"

#include <random>

#include <gtest/gtest.h>

namespace hanat {
namespace {

using Sample = ClientWaits::Sample;

/// How often they were a sign.
unsigned record(ClientWaits& waits, Sample sample, unsigned times) {
  unsigned signs = 0;
  for (; times > 0; --times) signs += waits.record(sample) ? 1U : 0U;
  return signs;
}

TEST(ClientWaits, SeveralThatWaitBehindManyThatWereServed) {
  for (const Sample sample : {Sample::pending, Sample::unaccepted}) {
    ClientWaits waits;
    EXPECT_EQ(record(waits, Sample::served, 100), 0U);
    EXPECT_EQ(record(waits, sample, ClientWaits::in_a_row - 1), 0U);
    EXPECT_EQ(record(waits, sample, 1), 1U);
    EXPECT_LT(record(waits, sample, 100), 5U) << "it ends by itself";
  }
}

TEST(ClientWaits, WithTooFewBeforeNothingIsKnown) {
  ClientWaits waits;
  record(waits, Sample::served, ClientWaits::before_at_least - ClientWaits::in_a_row);
  EXPECT_EQ(record(waits, Sample::pending, 100), 0U);
}

TEST(ClientWaits, ClientsThatAlwaysWaitAreNoSignUnlessTheyAreNoLongerAccepted) {
  ClientWaits waits;
  EXPECT_EQ(record(waits, Sample::pending, 1'000), 0U);
  EXPECT_EQ(record(waits, Sample::unaccepted, ClientWaits::in_a_row), 1U);
}

TEST(ClientWaits, SingleOnesThatWaitAreNoSign) {
  ClientWaits waits;
  for (int round = 0; round < 100; ++round) {
    EXPECT_EQ(record(waits, Sample::served, 20), 0U);
    EXPECT_EQ(record(waits, Sample::pending, ClientWaits::in_a_row - 1), 0U);
  }
}

TEST(ClientWaits, AnotherPauseIsAnotherSign) {
  ClientWaits waits;
  for (int round = 0; round < 10; ++round) {
    EXPECT_EQ(record(waits, Sample::served, 32), 0U);
    EXPECT_GE(record(waits, Sample::pending, 15), 1U) << round;
  }
}

/// One client in twenty takes longer, by chance: a burst of probes in some minutes, no more.
TEST(ClientWaits, SlowRequestsAmongOthersAreSeldomASign) {
  ClientWaits waits;
  std::minstd_rand random{7}; // NOLINT: the same each time
  unsigned signs = 0;
  for (int sample = 0; sample < 30'000; ++sample) // ten minutes of 50 a second
    signs += waits.record(random() % 20 == 0 ? Sample::pending : Sample::served) ? 1U : 0U;
  EXPECT_LT(signs, 10U);
}

} // namespace
} // namespace hanat
