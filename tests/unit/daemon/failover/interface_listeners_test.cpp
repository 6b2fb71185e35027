// Services whose listeners come and go between fakes: the target stays what it was, and no address is a flip.
// Not here: which addresses these are (unit: interfaces).
#include <gmock/gmock.h>

#include "daemon/report/make_status.hpp"
#include "tests/unit/daemon/failover/reload_fixture.hpp"

namespace hanat::test {
namespace {

using probes::Outcome;

class InterfaceListeners : public ReloadTest {
protected:
  static ServiceConfig site(const std::vector<const char*>& addresses) {
    ServiceConfig config = probed(small_service("site", 80));
    Vip any = config.listen.front();
    any.address = Address::unspecified(Family::ipv4);
    config.interfaces = {{.interface = "ppp0", .text = "ppp0:80/tcp", .endpoints = {any}}};
    config.pattern = {any};
    config.listen.clear();
    for (const char* one : addresses) config.listen.push_back({address(one), Protocol::tcp, 80});
    return config;
  }
  void run_services(const ServiceConfig& config) {
    start({config});
    for (std::size_t server = 0; server < 2; ++server) judge(one(), server, Outcome::pass);
    settle_flows();
    outbox = {};
  }
  std::set<Mapping> reload_as(const ServiceConfig& config) {
    apply({config});
    run_until_idle();
    return settle_flows();
  }
  ServiceState& one() { return service("site"); }
  static Mapping flows(const char* vip, const char* server) { return {{address(vip), Protocol::tcp, 80}, endpoint(server, 80)}; }
};

TEST_F(InterfaceListeners, AnotherAddressIsNoFlipAndTheFlowsOfTheOldOneGo) {
  run_services(site({"203.0.113.50"}));
  EXPECT_THAT(reload_as(site({"203.0.113.50", "203.0.113.60"})), testing::Not(testing::Contains(flows("203.0.113.50", "198.18.1.2"))));
  EXPECT_EQ(one().loaded.dnat.size(), 2U);
  EXPECT_THAT(reload_as(site({"203.0.113.60"})), testing::Contains(flows("203.0.113.50", "198.18.1.2")));
  EXPECT_EQ(one().loaded.dnat.size(), 1U);
  EXPECT_EQ(one().flips, 0U);
}

TEST_F(InterfaceListeners, WithoutAnAddressTheTargetIsKept) {
  run_services(site({"203.0.113.50"}));
  ServiceConfig manual = site({"203.0.113.50"});
  manual.failback.automatic = false;
  reload_as(manual);
  judge(one(), 0, Outcome::fail);
  settle_flows();
  judge(one(), 0, Outcome::pass);
  settle_flows();
  EXPECT_EQ(target_name(one()), "backup") << "failback is manual";
  manual.listen.clear();
  reload_as(manual);
  EXPECT_TRUE(one().loaded.dnat.empty());
  EXPECT_EQ(report(one(), now).target, "backup");
  manual.listen = site({"203.0.113.60"}).listen;
  reload_as(manual);
  EXPECT_EQ(target_name(one()), "backup");
  EXPECT_EQ(one().loaded.dnat.begin()->second.server, endpoint("198.18.2.2", 80));
  EXPECT_EQ(one().flips, 1U);
}

TEST_F(InterfaceListeners, OneThatNeverHadAnAddressIsProbedAndServesAtOnce) {
  run_services(site({}));
  EXPECT_EQ(one().servers[0].health, Health::up);
  EXPECT_EQ(report(one(), now).target, "primary");
  reload_as(site({"203.0.113.50"}));
  EXPECT_EQ(one().loaded.dnat.begin()->second.server, endpoint("198.18.1.2", 80));
  EXPECT_EQ(one().flips, 0U);
}

} // namespace
} // namespace hanat::test
