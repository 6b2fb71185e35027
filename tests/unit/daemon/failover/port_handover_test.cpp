// Ranges that change hands while flows of them are being cut. Not here: which of them stay (tests/netns), other reloads (reload_test).
#include "daemon/failover/port_handover.hpp"

#include "tests/unit/daemon/failover/reload_fixture.hpp"

namespace hanat::test {
namespace {

class PortHandoverTest : public ReloadTest {
protected:
  static ServiceConfig service_at(const std::string& name, std::uint16_t first, std::uint16_t last) {
    ServiceConfig config = probed(small_service(name, 0));
    config.listen = {{.address = address("203.0.113.20"), .protocol = Protocol::tcp, .port = first, .last = last}};
    return config;
  }
  /// Two services become one while the worker is on the flows of a primary, which the one is to have again.
  void hand_over_while_cutting() {
    start({service_at("low", 2000, 4000), service_at("media", 4001, 8100)});
    for (const auto& one : registry.services()) {
      judge(*one, 0, probes::Outcome::pass);
      judge(*one, 1, probes::Outcome::pass);
    }
    settle_flows();
    judge(service("media"), 0, probes::Outcome::fail);
    run_until_idle();
    ASSERT_TRUE(run());
    apply({service_at("whole", 1, 65'535)});
  }
};

// The server of a part is to be the target again, while the worker is cutting its flows there. Were only the old services' elements taken
// out meanwhile, clients would meet none.
TEST_F(PortHandoverTest, OldOnesStayUntilTheNewOneMayBegin) {
  hand_over_while_cutting();
  EXPECT_TRUE(decide_dirty(registry, evictions, outbox, now).empty()) << "none goes before the other";
  for (ServiceState* one : registry.take_dirty()) registry.set_timer(*one, now);
  finish();
  auto changes = decide_dirty(registry, evictions, outbox, now);
  std::set<std::string> names;
  for (const Change& change : changes) names.insert(change.service->config->name);
  EXPECT_EQ(names, (std::set<std::string>{"low", "media", "whole"}));
}

// Whatever one of them is looked at for meanwhile, none goes alone: the kernel would refuse what overlaps.
TEST_F(PortHandoverTest, WhatComesMeanwhileIsDecidedForAllOfThem) {
  hand_over_while_cutting();
  EXPECT_TRUE(decide_dirty(registry, evictions, outbox, now).empty());
  registry.take_dirty();
  service("whole").force.emplace().server = 1;
  registry.mark_dirty(service("whole"));
  EXPECT_EQ(decide_dirty(registry, evictions, outbox, now).size(), 3U) << "its server is another one, and nothing is waited for";
}

TEST_F(PortHandoverTest, OthersGoOn) {
  start({service_at("low", 2000, 4000), service_at("media", 4001, 8100), probed(small_service("web", 80))});
  for (const auto& one : registry.services()) judge(*one, 0, probes::Outcome::pass);
  settle_flows();
  service("low").ports_taken_over = {service("media").config->listen.front()};
  std::vector<Change> changes;
  for (const char* name : {"low", "web"})
    changes.push_back({.batch = changes.size(), .service = &service(name), .decision = {}, .plan = {}});
  EXPECT_EQ(hold_handovers({&service("media")}, changes), (std::vector<ServiceState*>{&service("media"), &service("low")}));
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_EQ(changes.front().service, &service("web"));
}

} // namespace
} // namespace hanat::test
