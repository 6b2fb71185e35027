// Which undelivered SYNs are told, by what conntrack knows of their flows.
#include "daemon/failover/repeated_syns.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/daemon/failover/look_ups.hpp"

namespace hanat {
namespace {

using probes::KernelEvent;
using probes::KernelEventKind;
using testing::ElementsAre;
using testing::IsEmpty;

class RepeatedSynsTest : public LookUps<RepeatedSyns> {
protected:
  RepeatedSynsTest() : LookUps(nat::KnownFlow::none) {}
};

TEST_F(RepeatedSynsTest, ThoseWithoutAnEntryAreTold) {
  const KernelEvent one = event(KernelEventKind::undelivered, 40'000), other = event(KernelEventKind::undelivered, 40'001);
  asks_->on_event(one);
  asks_->on_event(other);
  EXPECT_THAT(take(), IsEmpty()) << "conntrack is asked first";
  run();
  EXPECT_THAT(take(), ElementsAre(one, other));
}

TEST_F(RepeatedSynsTest, ThoseOfAPortUsedAgainAreNot) {
  for (const nat::KnownFlow known : {nat::KnownFlow::unreplied, nat::KnownFlow::accepted, nat::KnownFlow::replied}) {
    known_ = known;
    asks_->on_event(event(KernelEventKind::undelivered, 40'000));
    run();
    EXPECT_THAT(take(), IsEmpty());
  }
  EXPECT_EQ(looked_up_, 3U);
}

TEST_F(RepeatedSynsTest, ThoseThatWereAcceptedAreToldWhileConntrackStillWaitsForTheirClient) {
  const KernelEvent accepted = event(KernelEventKind::unacknowledged, 40'000), undelivered = event(KernelEventKind::undelivered, 40'001);
  known_ = nat::KnownFlow::accepted;
  asks_->on_event(accepted);
  asks_->on_event(undelivered); // is looked up before
  run();
  EXPECT_THAT(take(), ElementsAre(accepted));
  EXPECT_EQ(looked_up_, 2U);
  for (const nat::KnownFlow known : {nat::KnownFlow::none, nat::KnownFlow::unreplied, nat::KnownFlow::replied}) {
    known_ = known;
    asks_->on_event(accepted);
    run();
    EXPECT_THAT(take(), IsEmpty());
  }
}

TEST_F(RepeatedSynsTest, WithoutConntrackNothingIsConcluded) {
  unreadable_ = true;
  asks_->on_event(event(KernelEventKind::undelivered, 40'000));
  run();
  EXPECT_THAT(take(), IsEmpty());
}

TEST_F(RepeatedSynsTest, OtherEventsPassAtOnceAndABatchIsBounded) {
  const KernelEvent unanswered = event(KernelEventKind::unanswered, 40'000);
  asks_->on_event(unanswered);
  EXPECT_THAT(take(), ElementsAre(unanswered));
  for (std::size_t flow = 0; flow <= RepeatedSyns::waiting_at_most; ++flow)
    asks_->on_event(event(KernelEventKind::undelivered, static_cast<std::uint16_t>(flow)));
  run();
  EXPECT_EQ(take().size(), RepeatedSyns::waiting_at_most);
}

} // namespace
} // namespace hanat
