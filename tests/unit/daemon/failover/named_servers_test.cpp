// Servers by their names between fakes: one without an address is no server to choose, and what an operator decided stays with the name.
// Not here: the names themselves (names), a target whose address changes (former_test).
#include "daemon/decision/find_server.hpp"
#include "daemon/failover/maintenance.hpp"
#include "daemon/failover/overrides.hpp"
#include "daemon/report/make_status.hpp"
#include "tests/unit/daemon/failover/reload_fixture.hpp"

namespace hanat::test {
namespace {

using probes::Outcome;

class NamedServers : public ReloadTest {
protected:
  /// Empty: the name has no address.
  static ServiceConfig site(const std::string& primary, const std::string& backup, Lookup without = Lookup::failed) {
    ServiceConfig config = probed(small_service("site", 80));
    const std::string addresses[] = {primary, backup};
    for (std::size_t server = 0; server < 2; ++server) {
      const std::string& address = addresses[server];
      config.servers[server].addresses.clear();
      if (!address.empty()) config.servers[server].addresses.push_back(endpoint(address.c_str(), 0));
      config.servers[server].host =
          HostName{.name = server == 0 ? "db1.lan" : "db2.lan", .lookup = address.empty() ? without : Lookup::resolved};
    }
    return config;
  }
  void run_services(const ServiceConfig& config) {
    start({config});
    answer_all();
    settle_flows();
    outbox = {};
  }
  void answer_all() {
    for (std::size_t server = 0; server < one().servers.size(); ++server)
      if (!one().servers[server].probes.empty()) judge(one(), server, Outcome::pass);
    run_until_idle();
  }
  void reload_as(const ServiceConfig& config) {
    apply({config});
    run_until_idle();
  }
  ServiceState& one() { return service("site"); }
};

TEST_F(NamedServers, WithoutAnAddressAServerIsDownAndTheNextOneServes) {
  run_services(site("", "198.18.2.2"));
  EXPECT_EQ(target_name(one()), "backup");
  const ServiceStatus status = report(one(), now);
  EXPECT_EQ(status.servers[0].health, "down");
  EXPECT_EQ(status.servers[0].address, "db1.lan");
  EXPECT_EQ(status.servers[0].last.value().reason, "not-resolved");
}

TEST_F(NamedServers, UntilANameIsKnownNothingMovesBecauseOfIt) {
  ServiceConfig before = site("198.18.1.2", "198.18.2.2");
  before.servers[0].host.reset(); // configured by its address
  run_services(before);
  reload_as(site("", "198.18.2.2", Lookup::pending));
  EXPECT_EQ(target_name(one()), "former");
  reload_as(site("198.18.1.2", "198.18.2.2"));
  EXPECT_EQ(target_name(one()), "primary");
  EXPECT_EQ(one().servers.size(), 2U);
  EXPECT_EQ(one().servers[0].health, Health::up) << "it is the one of before";
  EXPECT_EQ(one().flips, 0U);
}

TEST_F(NamedServers, WithoutAnyAddressClientsAreRefused) {
  run_services(site("", ""));
  EXPECT_EQ(target_name(one()), "none");
  EXPECT_TRUE(one().refused);
  reload_as(site("", "198.18.2.2"));
  answer_all();
  EXPECT_EQ(target_name(one()), "backup");
}

TEST_F(NamedServers, AnOverrideAndADisabledServerStayWithTheName) {
  run_services(site("198.18.1.2", "198.18.2.2"));
  begin_override(one(), {.server = 1, .until = {}, .until_wall = {}, .since = WallTime{1s}, .reason = "test", .by = "root"}, registry,
                 outbox);
  disable_server(one(), 0, {.since = WallTime{1s}, .reason = "test", .by = "root"}, registry, outbox);
  run_until_idle();
  reload_as(site("198.18.1.3", "198.18.2.3"));
  EXPECT_EQ(one().force.value().server, 1U);
  EXPECT_TRUE(one().servers[0].maintenance);
  EXPECT_EQ(saved_maintenance(registry.services()).at(0).host, "db1.lan");
  EXPECT_EQ(find_by_name(one().config->servers, "db2.lan", {}), 1U);
  EXPECT_EQ(find_by_name(one().config->servers, "", {}), std::nullopt);
}

} // namespace
} // namespace hanat::test
