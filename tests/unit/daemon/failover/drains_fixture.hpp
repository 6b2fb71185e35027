// A service whose flows may stay at the old target for a while, and what the worker says of them.
#pragma once

#include <chrono>
#include <cstdint>

#include "tests/unit/daemon/failover/fixture.hpp"

namespace hanat::test {

class DrainsTest : public testing::Test, protected Flows {
protected:
  /// A TCP service that has just flipped; what is left at the old target drains for a minute, or is kept.
  ServiceState& flipped(const FlowPolicy& policy = a_minute) {
    ServiceConfig config = web();
    config.listen = {tcp4};
    config.on_failover = policy;
    ServiceState& service = add_at(config, 0);
    go(service, to_server(1));
    return service;
  }
  /// The worker has notified the clients.
  void notify() {
    EXPECT_TRUE(run());
    finish();
  }
  static CutResult counted(std::uint64_t flows, Clock::duration spent = {}) {
    CutResult result;
    result.counted = nat::Flows{};
    if (flows != 0) (*result.counted)[primary_tcp] = flows;
    result.spent = std::chrono::duration_cast<std::chrono::microseconds>(spent);
    return result;
  }
  void count(std::uint64_t flows, Clock::duration spent = {}) {
    EXPECT_TRUE(run());
    finish(counted(flows, spent));
  }
  std::size_t events(const char* words) const { return events_of(outbox, words); }
};

} // namespace hanat::test
