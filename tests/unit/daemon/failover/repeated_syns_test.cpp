// Which undelivered SYNs are told, by what conntrack knows of their flows.
#include "daemon/failover/repeated_syns.hpp"

#include <atomic>
#include <optional>
#include <stdexcept>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hanat {
namespace {

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
    ++looked_up_;
    if (unreadable_) throw std::runtime_error("refused");
    return known_;
  }
  std::vector<KernelEvent> take() { return std::exchange(events_, {}); }
  void run() { uv_run(&loop_, UV_RUN_DEFAULT); } // until nothing is waited for

  uv_loop_t loop_{};
  std::atomic<nat::KnownFlow> known_ = nat::KnownFlow::none;
  std::atomic<bool> unreadable_ = false;
  std::atomic<unsigned> looked_up_ = 0;
  std::vector<KernelEvent> events_;
  std::optional<RepeatedSyns> syns_;
};

TEST_F(RepeatedSynsTest, ThoseWithoutAnEntryAreTold) {
  const KernelEvent one = syn(KernelEventKind::undelivered, 40'000), other = syn(KernelEventKind::undelivered, 40'001);
  syns_->on_event(one);
  syns_->on_event(other);
  EXPECT_THAT(take(), IsEmpty()) << "conntrack is asked first";
  run();
  EXPECT_THAT(take(), ElementsAre(one, other));
}

TEST_F(RepeatedSynsTest, ThoseOfAPortUsedAgainAreNot) {
  for (const nat::KnownFlow known : {nat::KnownFlow::unreplied, nat::KnownFlow::accepted, nat::KnownFlow::replied}) {
    known_ = known;
    syns_->on_event(syn(KernelEventKind::undelivered, 40'000));
    run();
    EXPECT_THAT(take(), IsEmpty());
  }
  EXPECT_EQ(looked_up_, 3U);
}

TEST_F(RepeatedSynsTest, ThoseThatWereAcceptedAreToldWhileConntrackStillWaitsForTheirClient) {
  const KernelEvent accepted = syn(KernelEventKind::unacknowledged, 40'000), undelivered = syn(KernelEventKind::undelivered, 40'001);
  known_ = nat::KnownFlow::accepted;
  syns_->on_event(accepted);
  syns_->on_event(undelivered); // is looked up before
  run();
  EXPECT_THAT(take(), ElementsAre(accepted));
  EXPECT_EQ(looked_up_, 2U);
  for (const nat::KnownFlow known : {nat::KnownFlow::none, nat::KnownFlow::unreplied, nat::KnownFlow::replied}) {
    known_ = known;
    syns_->on_event(accepted);
    run();
    EXPECT_THAT(take(), IsEmpty());
  }
}

TEST_F(RepeatedSynsTest, WithoutConntrackNothingIsConcluded) {
  unreadable_ = true;
  syns_->on_event(syn(KernelEventKind::undelivered, 40'000));
  run();
  EXPECT_THAT(take(), IsEmpty());
}

TEST_F(RepeatedSynsTest, OtherEventsPassAtOnceAndABatchIsBounded) {
  const KernelEvent unanswered = syn(KernelEventKind::unanswered, 40'000);
  syns_->on_event(unanswered);
  EXPECT_THAT(take(), ElementsAre(unanswered));
  for (std::size_t flow = 0; flow <= RepeatedSyns::waiting_at_most; ++flow)
    syns_->on_event(syn(KernelEventKind::undelivered, static_cast<std::uint16_t>(flow)));
  run();
  EXPECT_EQ(take().size(), RepeatedSyns::waiting_at_most);
}

} // namespace
} // namespace hanat
