// A loop, and a conntrack that says what the test wants, for what asks it of a client's flow and tells an event a moment later.
// Not here: what is told (repeated_syns_test, client_samples_test).
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <uv.h>

#include "nat/conntrack/socket.hpp"
#include "probes/passive/kernel_events.hpp"

namespace hanat {

/// `Asks`: RepeatedSyns, ClientSamples.
template <typename Asks> class LookUps : public testing::Test {
protected:
  explicit LookUps(nat::KnownFlow known) : known_(known) {
    uv_loop_init(&loop_);
    asks_.emplace(
        &loop_, [this](const nat::Tuple& original, std::uint16_t zone) { return look_up(original, zone); },
        [this](const probes::KernelEvent& event) { events_.push_back(event); });
  }
  ~LookUps() override {
    asks_.reset();
    uv_run(&loop_, UV_RUN_DEFAULT); // closes the handles
    uv_loop_close(&loop_);
  }
  LookUps(const LookUps&) = delete;
  LookUps& operator=(const LookUps&) = delete;

  static probes::KernelEvent event(probes::KernelEventKind kind, std::uint16_t port) {
    return {.kind = kind,
            .vip = Vip{.address = Address::parse("203.0.113.10").value(), .protocol = Protocol::tcp, .port = 443},
            .client = Endpoint{.address = Address::parse("198.18.1.2").value(), .port = port},
            .sequence = 7,
            .zone = 3};
  }
  std::vector<probes::KernelEvent> take() { return std::exchange(events_, {}); }
  void run() { uv_run(&loop_, UV_RUN_DEFAULT); } // until nothing is waited for

  std::atomic<nat::KnownFlow> known_;
  std::atomic<bool> unreadable_ = false;
  std::atomic<unsigned> looked_up_ = 0;
  std::optional<Asks> asks_;

private:
  nat::KnownFlow look_up(const nat::Tuple& original, std::uint16_t zone) {
    EXPECT_EQ(original.destination.port, 443);
    EXPECT_EQ(zone, 3);
    ++looked_up_;
    if (unreadable_) throw std::runtime_error("refused");
    return known_;
  }

  uv_loop_t loop_{};
  std::vector<probes::KernelEvent> events_;
};

} // namespace hanat
