// What becomes of a sample of new connections, by what conntrack knows of them.
#include "daemon/failover/client_samples.hpp"

#include <atomic>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hanat {
namespace {

using probes::KernelEvent;
using probes::KernelEventKind;
using testing::ElementsAre;
using testing::IsEmpty;

class ClientSamplesTest : public testing::Test {
protected:
  ClientSamplesTest() {
    uv_loop_init(&loop_);
    samples_.emplace(
        &loop_, [this](const nat::Tuple& original, std::uint16_t zone) { return look_up(original, zone); },
        [this](const KernelEvent& event) { events_.push_back(event); });
  }
  ~ClientSamplesTest() override {
    samples_.reset();
    uv_run(&loop_, UV_RUN_DEFAULT); // closes the handles
    uv_loop_close(&loop_);
  }
  ClientSamplesTest(const ClientSamplesTest&) = delete;
  ClientSamplesTest& operator=(const ClientSamplesTest&) = delete;

  static KernelEvent opened(std::uint16_t port, KernelEventKind kind = KernelEventKind::opened) {
    return {.kind = kind,
            .vip = Vip{.address = Address::parse("203.0.113.10").value(), .protocol = Protocol::tcp, .port = 443},
            .client = Endpoint{.address = Address::parse("198.18.1.2").value(), .port = port},
            .zone = 3};
  }
  nat::KnownFlow look_up(const nat::Tuple& original, std::uint16_t zone) {
    EXPECT_EQ(original.destination.port, 443);
    EXPECT_EQ(zone, 3);
    if (unreadable_) throw std::runtime_error("refused");
    return known_;
  }
  std::vector<KernelEvent> take() { return std::exchange(events_, {}); }
  void run() { uv_run(&loop_, UV_RUN_DEFAULT); } // until nothing is waited for

  uv_loop_t loop_{};
  std::atomic<nat::KnownFlow> known_ = nat::KnownFlow::served;
  std::atomic<bool> unreadable_ = false;
  std::vector<KernelEvent> events_;
  std::optional<ClientSamples> samples_;
};

TEST_F(ClientSamplesTest, AMomentLaterConntrackIsAsked) {
  const auto opened_at = Clock::now();
  samples_->on_event(opened(40'000));
  samples_->on_event(opened(40'001));
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
    samples_->on_event(opened(40'000));
    run();
    EXPECT_THAT(take(), ElementsAre(opened(40'000, kind)));
  }
  known_ = none; // a rule of the operator dropped it, or it was cut
  samples_->on_event(opened(40'000));
  run();
  EXPECT_THAT(take(), IsEmpty());
}

TEST_F(ClientSamplesTest, WithoutConntrackNothingIsConcluded) {
  unreadable_ = true;
  samples_->on_event(opened(40'000));
  run();
  EXPECT_THAT(take(), IsEmpty());
}

TEST_F(ClientSamplesTest, OtherEventsPassAtOnceAndABatchIsBounded) {
  const KernelEvent unanswered = opened(40'000, KernelEventKind::unanswered);
  samples_->on_event(unanswered);
  EXPECT_THAT(take(), ElementsAre(unanswered));
  for (std::size_t flow = 0; flow <= ClientSamples::waiting_at_most; ++flow) samples_->on_event(opened(static_cast<std::uint16_t>(flow)));
  run();
  EXPECT_EQ(take().size(), ClientSamples::waiting_at_most);
}

} // namespace
} // namespace hanat
