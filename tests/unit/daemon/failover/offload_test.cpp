// When hanat's flowtable is made, changed and removed, and what a kernel without flowtables leads to. Not here: its messages
// (nat/nftables/transaction_test), its rules (layout_test), flows on it (tests/package/offload_scenes.sh).
#include "daemon/failover/offload.hpp"

#include "tests/unit/daemon/failover/table_sync_fixture.hpp"

namespace hanat::test {
namespace {

class OffloadTest : public TableSyncTest {
protected:
  ServerSets sets{table, sync, registry};
  Offload offload{table, sync, registry, sets, outbox};

  void SetUp() override {
    TableSyncTest::SetUp();
    offload.set_interfaces({{2, "eth0"}, {3, "eth1"}});
  }
  ServiceState& add_web(const std::string& name = "web") {
    ServiceState& web = registry.add(name);
    web.config = small_service(name, 443);
    web.config.edit().offload = true;
    web.loaded.vips[web.config->listen.front()] = name;
    offload.on_config_changed();
    return web;
  }
  /// What Controller does once a turn of the loop.
  Calls run() {
    offload.run(now);
    sets.update(now);
    return table.take_calls();
  }
  Calls run_after(Clock::duration wait) {
    now += wait;
    return run();
  }
};

TEST_F(OffloadTest, WithoutAServiceThatAsksForItThereIsNoFlowtable) {
  add_web().config.edit().offload = false;
  EXPECT_EQ(run(), Calls{"offloaded4 0"});
  EXPECT_EQ(run(), Calls{});
  EXPECT_FALSE(offload.next_wakeup());
}

TEST_F(OffloadTest, TheFlowtableComesBeforeTheEndpointsAndGoesWithTheKey) {
  ServiceState& web = add_web();
  EXPECT_EQ(run(), (Calls{"flowtable eth0 eth1", "offloaded4 1"}));
  EXPECT_EQ(web.offloading, Offloading::on);
  EXPECT_EQ(run(), Calls{});
  web.config.edit().offload = false;
  offload.on_config_changed();
  EXPECT_EQ(run(), (Calls{"no flowtable", "offloaded4 0"}));
  EXPECT_EQ(web.offloading, Offloading::off);
}

TEST_F(OffloadTest, InterfacesThatComeAndGoAreFollowed) {
  add_web();
  run();
  outbox.sync_due = false;
  offload.set_interfaces({{2, "eth0"}, {3, "eth1"}});
  EXPECT_FALSE(outbox.sync_due);
  offload.set_interfaces({{2, "eth0"}, {4, "wg0"}});
  EXPECT_TRUE(outbox.sync_due);
  EXPECT_EQ(run(), Calls{"flowtable eth0 wg0"});
  offload.set_interfaces({{2, "eth0"}, {5, "wg0"}});
  EXPECT_EQ(run(), Calls{"flowtable eth0 wg0"}) << "another interface of that name";
}

TEST_F(OffloadTest, AFreshTableGetsItAgain) {
  add_web();
  run();
  table.load(table.loaded->state);
  table.take_calls();
  EXPECT_EQ(run(), Calls{"flowtable eth0 eth1"});
}

TEST_F(OffloadTest, AKernelWithoutFlowtablesIsToldOnceAndAskedAgainEachMinute) {
  table.knows_flowtables = false;
  ServiceState& web = add_web();
  add_web("shop");
  EXPECT_EQ(run(), (Calls{"flowtable eth0 eth1", "offloaded4 0"}));
  EXPECT_EQ(web.offloading, Offloading::unknown_to_kernel);
  EXPECT_EQ(events("service web and 1 other service: offload = true, but this kernel has no flowtables"), 1U);
  EXPECT_EQ(sync.state(), TableSync::State::in_sync) << "nothing else is concerned";
  EXPECT_EQ(offload.next_wakeup(), now + 60s);
  EXPECT_EQ(run_after(59s), Calls{});
  EXPECT_EQ(run_after(1s), Calls{"flowtable eth0 eth1"});
  EXPECT_EQ(events("no flowtables"), 1U);
  table.knows_flowtables = true;
  EXPECT_EQ(run_after(60s), (Calls{"flowtable eth0 eth1", "offloaded4 1"}));
  EXPECT_EQ(web.offloading, Offloading::on);
}

TEST_F(OffloadTest, ARefusalIsToldAndTriedAgainAfterASecond) {
  table.faults["flowtable"] = {std::errc::no_buffer_space};
  ServiceState& web = add_web();
  EXPECT_EQ(run(), (Calls{"flowtable eth0 eth1", "offloaded4 0"}));
  EXPECT_EQ(web.offloading, Offloading::refused);
  EXPECT_EQ(events("the kernel refuses hanat's flowtable"), 1U);
  EXPECT_EQ(run_after(999ms), Calls{});
  EXPECT_EQ(run_after(1ms), (Calls{"flowtable eth0 eth1", "offloaded4 1"}));
}

TEST_F(OffloadTest, AnInterfaceThatWentMeanwhileTakesNoServiceOffIt) {
  ServiceState& web = add_web();
  run();
  table.faults["flowtable"] = {std::errc::no_such_file_or_directory};
  offload.set_interfaces({{2, "eth0"}, {3, "eth1"}, {4, "wg0"}});
  EXPECT_EQ(run(), Calls{"flowtable eth0 eth1 wg0"});
  EXPECT_EQ(web.offloading, Offloading::on);
  EXPECT_EQ(events("refuses"), 0U);
  offload.set_interfaces({{2, "eth0"}, {3, "eth1"}});
  EXPECT_EQ(run_after(1s), Calls{"flowtable eth0 eth1"});
}

TEST_F(OffloadTest, WhileTheTableIsBusyItWaits) {
  ServiceState& web = add_web();
  thread.slow = true;
  EXPECT_EQ(run(), Calls{});
  EXPECT_TRUE(sync.busy());
  EXPECT_EQ(web.offloading, Offloading::off);
  EXPECT_EQ(run(), Calls{});
  thread.join();
  EXPECT_EQ(table.take_calls(), Calls{"flowtable eth0 eth1"});
  thread.slow = false;
  EXPECT_EQ(run(), Calls{"offloaded4 1"});
  EXPECT_EQ(web.offloading, Offloading::on);
}

TEST_F(OffloadTest, AnEndpointThatAServiceGivesUpIsNoLongerOffloaded) {
  ServiceState& web = add_web();
  run();
  Change change{.batch = 0, .service = &web, .decision = {}, .plan = {}};
  sets.on_applied(change);
  web.loaded = change.plan.rules;
  EXPECT_EQ(run(), Calls{"offloaded4 0"});
}

} // namespace
} // namespace hanat::test
