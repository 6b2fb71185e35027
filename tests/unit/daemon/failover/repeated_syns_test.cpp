// What is told of SYNs that clients repeat, by what conntrack knows of their flows.
#include "daemon/failover/repeated_syns.hpp"

#include <atomic>
#include <stdexcept>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hanat {
namespace {

using namespace std::chrono_literals;
using probes::KernelEvent;
using probes::KernelEventKind;
using testing::ElementsAre;
using testing::IsEmpty;

class RepeatedSynsTest : public testing::Test {
protected:
  RepeatedSynsTest() {
    uv_loop_init(&loop_);
    syns_.emplace(
        &loop_, [this](const nat::Tuple& original, std::uint16_t zone) { return look_up(original, zone); },
        [this](const KernelEvent& event) { events_.push_back(event); });
  }
  ~RepeatedSynsTest() override {
    syns_.reset();
    uv_run(&loop_, UV_RUN_DEFAULT); // closes the handles
    uv_loop_close(&loop_);
  }
  RepeatedSynsTest(const RepeatedSynsTest&) = delete;
  RepeatedSynsTest& operator=(const RepeatedSynsTest&) = delete;

  static KernelEvent syn(KernelEventKind kind, std::uint16_t port) {
    return {.kind = kind,
            .vip = Vip{.address = Address::parse("203.0.113.10").value(), .protocol = Protocol::tcp, .port = 443},
            .client = Endpoint{.address = Address::parse("198.18.1.2").value(), .port = port},
            .sequence = 7,
            .zone = 3};
  }
  nat::KnownFlow look_up(const nat::Tuple& original, std::uint16_t zone) {
    EXPECT_EQ(original.destination.port, 443);
    EXPECT_EQ(zone, 3);
    ++looked_;
    if (unreadable_) throw std::runtime_error("refused");
    return known_;
  }
  /// Runs the loop until conntrack was asked once more, and the reply was handled.
  void until_looked_up() {
    const unsigned before = looked_;
    while (looked_ == before) uv_run(&loop_, UV_RUN_ONCE);
    uv_run(&loop_, UV_RUN_ONCE);
  }
  std::vector<KernelEventKind> take() {
    std::vector<KernelEventKind> kinds;
    for (const KernelEvent& event : std::exchange(events_, {})) kinds.push_back(event.kind);
    return kinds;
  }

  uv_loop_t loop_{};
  std::atomic<nat::KnownFlow> known_ = nat::KnownFlow::none;
  std::atomic<bool> unreadable_ = false;
  std::atomic<unsigned> looked_ = 0;
  std::vector<KernelEvent> events_;
  std::optional<RepeatedSyns> syns_;
};

TEST_F(RepeatedSynsTest, OneThatLeftNoEntryIsToldAndSoIsTheAnswerAtLast) {
  syns_->on_event(syn(KernelEventKind::undelivered, 40'000));
  EXPECT_THAT(take(), IsEmpty()) << "conntrack is asked first";
  until_looked_up();
  EXPECT_THAT(events_, ElementsAre(syn(KernelEventKind::undelivered, 40'000)));
  EXPECT_THAT(take(), ElementsAre(KernelEventKind::undelivered));
  until_looked_up();
  EXPECT_THAT(take(), IsEmpty());
  known_ = nat::KnownFlow::replied;
  until_looked_up();
  ASSERT_EQ(events_.size(), 1U);
  EXPECT_EQ(events_.front().client, syn(KernelEventKind::answered, 40'000).client);
  EXPECT_EQ(events_.front().vip, syn(KernelEventKind::answered, 40'000).vip);
  EXPECT_THAT(take(), ElementsAre(KernelEventKind::answered));
}

TEST_F(RepeatedSynsTest, ThatOfAPortUsedAgainIsNotTold) {
  for (const nat::KnownFlow known : {nat::KnownFlow::unreplied, nat::KnownFlow::replied}) {
    known_ = known;
    syns_->on_event(syn(KernelEventKind::undelivered, 40'000));
    until_looked_up();
    EXPECT_THAT(take(), IsEmpty());
  }
}

TEST_F(RepeatedSynsTest, AnUnansweredOneIsToldAtOnceAndEachTime) {
  known_ = nat::KnownFlow::unreplied;
  syns_->on_event(syn(KernelEventKind::unanswered, 40'000));
  EXPECT_THAT(take(), ElementsAre(KernelEventKind::unanswered));
  until_looked_up();
  syns_->on_event(syn(KernelEventKind::unanswered, 40'000));
  EXPECT_THAT(take(), ElementsAre(KernelEventKind::unanswered));
  known_ = nat::KnownFlow::replied;
  until_looked_up();
  EXPECT_THAT(take(), ElementsAre(KernelEventKind::answered));
}

TEST_F(RepeatedSynsTest, WithoutConntrackNothingIsConcluded) {
  unreadable_ = true;
  syns_->on_event(syn(KernelEventKind::undelivered, 40'000));
  until_looked_up();
  EXPECT_THAT(take(), IsEmpty());
  unreadable_ = false;
  until_looked_up();
  EXPECT_THAT(take(), ElementsAre(KernelEventKind::undelivered));
}

TEST_F(RepeatedSynsTest, OtherEventsPassAndMoreFlowsThanAreFollowedAreTold) {
  syns_->on_event({.kind = KernelEventKind::route_gone, .server = Endpoint{.address = Address::parse("198.18.11.2").value(), .port = 0}});
  EXPECT_THAT(take(), ElementsAre(KernelEventKind::route_gone));
  for (std::size_t flow = 0; flow < RepeatedSyns::flows_at_most; ++flow)
    syns_->on_event(syn(KernelEventKind::undelivered, static_cast<std::uint16_t>(flow)));
  EXPECT_THAT(take(), IsEmpty());
  syns_->on_event(syn(KernelEventKind::undelivered, 50'000));
  EXPECT_THAT(take(), ElementsAre(KernelEventKind::undelivered));
}

} // namespace
} // namespace hanat
