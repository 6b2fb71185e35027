// What becomes of a sample of new connections, by what conntrack knows of them.
#include "daemon/failover/client_samples.hpp"

#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/daemon/failover/look_ups.hpp"

namespace hanat {
namespace {

using probes::KernelEvent;
using probes::KernelEventKind;
using testing::ElementsAre;
using testing::IsEmpty;

class ClientSamplesTest : public LookUps<ClientSamples> {
protected:
  ClientSamplesTest() : LookUps(nat::KnownFlow::served) {}
  static KernelEvent opened(std::uint16_t port, KernelEventKind kind = KernelEventKind::opened) { return event(kind, port); }
};

TEST_F(ClientSamplesTest, AMomentLaterConntrackIsAsked) {
  const auto opened_at = Clock::now();
  asks_->on_event(opened(40'000));
  asks_->on_event(opened(40'001));
  EXPECT_THAT(take(), IsEmpty());
  run();
  EXPECT_GE(Clock::now() - opened_at, ClientSamples::asked_after - std::chrono::milliseconds{5});
  EXPECT_THAT(take(), ElementsAre(opened(40'000, KernelEventKind::served), opened(40'001, KernelEventKind::served)));
}

TEST_F(ClientSamplesTest, WhatIsKnownOfTheFlowSaysHowTheClientFares) {
  using enum nat::KnownFlow;
  for (const auto& [known, kind] : {std::pair{unreplied, KernelEventKind::unaccepted}, std::pair{accepted, KernelEventKind::pending},
                                    std::pair{replied, KernelEventKind::pending}, std::pair{served, KernelEventKind::served}}) {
    known_ = known;
    asks_->on_event(opened(40'000));
    run();
    EXPECT_THAT(take(), ElementsAre(opened(40'000, kind)));
  }
  known_ = none; // a rule of the operator dropped it, or it was cut
  asks_->on_event(opened(40'000));
  run();
  EXPECT_THAT(take(), IsEmpty());
}

TEST_F(ClientSamplesTest, WithoutConntrackNothingIsConcluded) {
  unreadable_ = true;
  asks_->on_event(opened(40'000));
  run();
  EXPECT_THAT(take(), IsEmpty());
}

TEST_F(ClientSamplesTest, OtherEventsPassAtOnceAndABatchIsBounded) {
  const KernelEvent unanswered = opened(40'000, KernelEventKind::unanswered);
  asks_->on_event(unanswered);
  EXPECT_THAT(take(), ElementsAre(unanswered));
  for (std::size_t flow = 0; flow <= ClientSamples::waiting_at_most; ++flow) asks_->on_event(opened(static_cast<std::uint16_t>(flow)));
  run();
  EXPECT_EQ(take().size(), ClientSamples::waiting_at_most);
}

} // namespace
} // namespace hanat
