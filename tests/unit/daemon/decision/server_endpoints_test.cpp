// Which endpoints of servers the guard knows: shared servers, ranges that overlap, and who is displaced by whom.
#include "daemon/decision/server_endpoints.hpp"

#include <memory>

#include <gtest/gtest.h>

#include "nat/port_range.hpp"
#include "tests/unit/daemon/decision/plan_fixture.hpp"

namespace hanat {
namespace {

using namespace planning;

class ServerEndpoints : public testing::Test {
protected:
  ServiceState& add(const std::string& name, std::vector<Vip> listen, std::size_t at, std::uint16_t port = 0) {
    services.push_back(std::make_unique<ServiceState>());
    ServiceState& service = *services.back();
    ServiceConfig& config = service.config.edit();
    config.name = name;
    config.listen = std::move(listen);
    config.servers = {{.role = "primary", .addresses = {endpoint("198.18.1.2", port)}, .snat = {}, .probes = {}},
                      {.role = "backup", .addresses = {endpoint("198.18.2.2", port)}, .snat = {}, .probes = {}}};
    go_to(service, at);
    return service;
  }
  static void go_to(ServiceState& service, std::size_t server) {
    service.loaded.dnat.clear();
    for (const Vip& vip : service.config->listen)
      service.loaded.dnat[vip] = {endpoint_for(service.config->servers[server], vip).value(), service.config->name};
  }
  /// The primary has lost the traffic, and its flows were cut.
  static void displace(ServiceState& service) {
    for (const auto& [vip, target] : service.loaded.dnat) service.displaced_until[{vip, target.server}] = moment + 60s;
    go_to(service, 1);
  }
  static Vip range(const char* where, std::uint16_t first, std::uint16_t last, Protocol protocol = Protocol::tcp) {
    return {address(where), protocol, first, last};
  }
  static Vip at_primary(std::uint16_t port, Protocol protocol = Protocol::tcp) { return {address("198.18.1.2"), protocol, port}; }
  static Vip at_backup(std::uint16_t port, Protocol protocol = Protocol::tcp) { return {address("198.18.2.2"), protocol, port}; }

  Services services;
};

const Vip vip_tcp{address("203.0.113.10"), Protocol::tcp, 443}, vip_udp{address("203.0.113.10"), Protocol::udp, 443};
const Vip other_tcp{address("203.0.113.11"), Protocol::tcp, 443}, other_udp{address("203.0.113.11"), Protocol::udp, 443};

TEST_F(ServerEndpoints, EveryTcpServerIsNamedOnceWhoeverSharesIt) {
  add("web", {vip_tcp, vip_udp}, 0, 8443);
  add("other", {other_tcp}, 1, 8443);
  EXPECT_EQ(all_servers(services), (nat::EndpointMap{{at_primary(8443), "web primary"}, {at_backup(8443), "web backup"}}));
}

TEST_F(ServerEndpoints, RangesThatOverlapBecomeOne) {
  add("a", {range("203.0.113.10", 1000, 3000)}, 0);
  add("b", {range("203.0.113.11", 2000, 4000)}, 0);
  add("c", {{address("203.0.113.12"), Protocol::tcp, 2500}, {address("203.0.113.12"), Protocol::tcp, 5000}}, 0);
  EXPECT_EQ(all_servers(services), (nat::EndpointMap{{range("198.18.1.2", 1000, 4000), "a primary"},
                                                     {at_primary(5000), "c primary"},
                                                     {range("198.18.2.2", 1000, 4000), "a backup"},
                                                     {at_backup(5000), "c backup"}}));
}

TEST_F(ServerEndpoints, OffloadedIsWhatIsLoadedOfTcpAndUdp) {
  ServiceState& web = add("web", {vip_tcp, vip_udp}, 0);
  add("other", {other_tcp}, 0).loaded.vips[other_tcp] = "other";
  web.loaded.vips = {{vip_tcp, "web"}, {{vip_tcp.address, Protocol::sctp, 443}, "web"}};
  EXPECT_EQ(offloaded_endpoints(services), nat::EndpointMap{});
  for (const Offloading without : {Offloading::unknown_to_kernel, Offloading::refused}) {
    web.offloading = without;
    EXPECT_EQ(offloaded_endpoints(services), nat::EndpointMap{});
  }
  web.offloading = Offloading::on;
  EXPECT_EQ(offloaded_endpoints(services), (nat::EndpointMap{{vip_tcp, "web"}}));
  web.loaded.vips[vip_udp] = "web";
  EXPECT_EQ(offloaded_endpoints(services), (nat::EndpointMap{{vip_tcp, "web"}, {vip_udp, "web"}}));
}

TEST_F(ServerEndpoints, AnObservedServiceHasWhatIsLoaded) {
  ServiceState& web = add("web", {vip_tcp}, 0, 8443);
  web.shadow.emplace();
  EXPECT_EQ(all_servers(services), (nat::EndpointMap{{at_primary(8443), "web"}}));
  web.loaded.dnat.clear();
  EXPECT_TRUE(all_servers(services).empty());
}

TEST_F(ServerEndpoints, OfAllPortsThoseFromWhichAMachineOpensItsOwnFlowsAreNotDisplaced) {
  displace(add("dmz", {range("203.0.113.10", 1, 65535)}, 0));
  EXPECT_EQ(displaced_servers(services, moment), (nat::EndpointMap{{range("198.18.1.2", 1, own_ports_first - 1), "dmz"}}));
}

TEST_F(ServerEndpoints, NorThoseOfALongRange) {
  displace(add("rtp", {range("203.0.113.10", 10'000, 60'000)}, 0));
  displace(add("few", {range("203.0.113.11", 40'000, 40'100)}, 0));
  EXPECT_EQ(displaced_servers(services, moment),
            (nat::EndpointMap{{range("198.18.1.2", 10'000, own_ports_first - 1), "rtp"}, {range("198.18.1.2", 40'000, 40'100), "few"}}));
}

TEST_F(ServerEndpoints, AServerIsDisplacedUntilItsTimeIsOver) {
  displace(add("web", {vip_tcp, vip_udp}, 0, 8443));
  const nat::EndpointMap expected{{at_primary(8443), "web"}, {at_primary(8443, Protocol::udp), "web"}};
  EXPECT_EQ(displaced_servers(services, moment), expected);
  EXPECT_TRUE(displaced_servers(services, moment + 60s).empty());
}

TEST_F(ServerEndpoints, TheTargetOfAnotherServiceIsNotDisplaced) {
  displace(add("web", {vip_tcp, vip_udp}, 0, 8443));
  add("other", {other_tcp}, 0, 8443);
  EXPECT_EQ(displaced_servers(services, moment), (nat::EndpointMap{{at_primary(8443, Protocol::udp), "web"}}));
}

TEST_F(ServerEndpoints, OfARangeOnlyPortsThatServeNobodyAreDisplaced) {
  displace(add("all", {range("203.0.113.10", 1000, 3000, Protocol::udp)}, 0));
  add("one", {{address("203.0.113.11"), Protocol::udp, 2000}}, 0);
  EXPECT_EQ(displaced_servers(services, moment), (nat::EndpointMap{{range("198.18.1.2", 1000, 1999, Protocol::udp), "all"},
                                                                   {range("198.18.1.2", 2001, 3000, Protocol::udp), "all"}}));
}

TEST_F(ServerEndpoints, AServerThatKeepsFlowsIsNotDisplaced) {
  displace(add("web", {vip_udp}, 0, 8443));
  ServiceState& other = add("other", {other_udp}, 0, 8443);
  go_to(other, 1);
  other.evictions.push_back({.mappings = {{other_udp, endpoint("198.18.1.2", 8443)}}, .comment = "other primary", .drain = Drain{}});
  EXPECT_TRUE(displaced_servers(services, moment).empty());
}

TEST_F(ServerEndpoints, AServerStaysDisplacedAfterARestart) {
  ServiceState& web = add("web", {vip_tcp, vip_udp}, 1, 8443);
  const Vip udp_range = range("198.18.1.2", 8000, 9000, Protocol::udp);
  restore_displaced(services, {{udp_range, "web"}, {at_backup(8443), "another"}}, moment + 60s);
  EXPECT_EQ(web.displaced_until, (std::map<Mapping, Time>{{{vip_udp, endpoint("198.18.1.2", 8443)}, moment + 60s}}))
      << "the target is not displaced, whatever was loaded";
}

TEST_F(ServerEndpoints, AServerThatReturnsMaySpeakWhenTheFlowsToTheOtherAreCut) {
  ServiceState& web = add("web", {vip_udp}, 0, 8443);
  displace(web);
  go_to(web, 0);
  web.evictions.push_back({.mappings = {{vip_udp, endpoint("198.18.2.2", 8443)}}, .comment = "web backup"});
  EXPECT_FALSE(displaced_servers(services, moment).empty());
  web.evictions.back().stage = CutStage::notify_clients;
  EXPECT_TRUE(displaced_servers(services, moment).empty());
}

} // namespace
} // namespace hanat
