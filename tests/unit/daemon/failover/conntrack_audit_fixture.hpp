// A ConntrackAudit beside the evictions of fakes, and what the worker may have found. Not here: any test.
#pragma once

#include "daemon/failover/conntrack_audit.hpp"
#include "tests/unit/daemon/failover/fixture.hpp"

namespace hanat::test {

class ConntrackAuditTest : public testing::Test, protected Flows {
protected:
  bool in_sync = true;
  ConntrackAudit audit{evictions, registry, outbox, [this] { return in_sync; }};

  /// Gives the worker what is due; cuts come first.
  bool run() {
    const std::size_t before = worker.jobs.size();
    evictions.run(now);
    audit.run(now);
    return worker.jobs.size() != before;
  }
  /// The first audit is under way.
  void begin() {
    audit.start(60s, now);
    now += 10s;
    EXPECT_TRUE(run());
    ASSERT_NE(job().expected, nullptr);
  }
  /// The same, when every cut has ended.
  void begin_when_idle() {
    for (const auto& service : registry.services()) service->evictions.clear();
    begin();
  }
  void expect_audit_after(Clock::duration wait) {
    now += wait - 1ms;
    EXPECT_FALSE(run());
    now += 1ms;
    EXPECT_TRUE(run());
  }
  const nat::ExpectedFlows& expected() const { return *job().expected; }
  bool expects(const Mapping& flows) const { return !expected().unexpected(flows); }

  static CutResult unexpected(const Mapping& mapping, std::uint64_t flows = 1) {
    CutResult result;
    result.unexpected.emplace().all = {{mapping, flows}};
    return result;
  }
  static CutResult opened_by_server(const Mapping& mapping, std::uint64_t flows, std::uint64_t others = 0) {
    CutResult result = unexpected(mapping, flows + others);
    result.unexpected->opened_by_server = {{mapping, flows}};
    return result;
  }
  static CutResult clean(std::chrono::microseconds spent = {}) {
    CutResult result;
    result.unexpected.emplace();
    result.spent = spent;
    return result;
  }
  std::size_t found() const { return events_of(outbox, said::unexpected); }
};

} // namespace hanat::test
