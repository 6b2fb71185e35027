// A TableSync between fakes, with services that each want a table of the test's. Not here: the tests (table_sync_test, table_resync_test).
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "daemon/failover/table_sync.hpp"
#include "tests/unit/daemon/failover/fixture.hpp"

namespace hanat::test {

using Calls = std::vector<std::string>;

class TableSyncTest : public testing::Test {
protected:
  ServiceRegistry registry;
  Outbox outbox;
  FakeTable table;
  FakeCommitThread thread;
  Calls applied; // services, in order
  TableSync sync{table, thread, registry, outbox, [this](Change& change, Time) { note(change); }};
  Time now{1'000s};
  std::map<std::string, nat::TableState> wanted; // by service
  std::map<std::string, std::size_t> batches;    // services of the same number change together; without one each is alone
  bool notrack = false;
  nat::ProbePorts ports = {};

  void SetUp() override {
    sync.start(now);
    table.calls.clear();
    now += 10s; // the pause after a look at the table is over
  }

  /// A service that wants a port; nothing of it is loaded.
  ServiceState& add(const std::string& name, std::uint16_t port) {
    ServiceState& service = registry.add(name);
    registry.list(service);
    want(service, port);
    return service;
  }
  void want(ServiceState& service, std::uint16_t port, bool hold = false) {
    const Vip vip{address("203.0.113.10"), Protocol::tcp, port};
    nat::TableState rules;
    rules.vips[vip] = service.config->name;
    if (hold) rules.hold[{vip, primary4}] = service.config->name;
    wanted[service.config->name] = rules;
    registry.mark_dirty(service);
  }
  /// A service whose refusals are held.
  ServiceState& add_held(const std::string& name, std::uint16_t port) {
    ServiceState& service = add(name, port);
    want(service, port, true);
    return service;
  }

  /// What Controller does once a turn of the loop. Returns what was asked of the table.
  Calls turn() {
    outbox.sync_due = false;
    if (sync.prepare(now)) {
      std::vector<Change> changes;
      for (ServiceState* service : registry.dirty()) changes.push_back(change_of(*service, changes.size()));
      sync.apply(std::move(changes), now);
      registry.take_dirty();
    }
    sync.maintain(notrack, ports);
    return table.take_calls();
  }
  Calls turn_after(Clock::duration wait) {
    now += wait;
    return turn();
  }
  /// Nothing is asked of the table a moment before the time has come.
  Calls expect_calls_after(Clock::duration wait) {
    EXPECT_EQ(turn_after(wait - 1ms), Calls{});
    return turn_after(1ms);
  }
  /// Another program changed hanat's table.
  void change_by_others() {
    table.loaded->state.vips.clear();
    table.others = true;
    sync.on_commit();
  }
  std::size_t events(const char* words) const { return events_of(outbox, words); }

private:
  Change change_of(ServiceState& service, std::size_t number) {
    const auto batch = batches.find(service.config->name);
    Plan plan;
    plan.rules = wanted.at(service.config->name);
    return {.batch = batch == batches.end() ? 100 + number : batch->second, .service = &service, .decision = {}, .plan = std::move(plan)};
  }
  void note(Change& change) {
    applied.push_back(change.service->config->name);
    change.service->loaded = std::move(change.plan.rules);
  }
};

} // namespace hanat::test
