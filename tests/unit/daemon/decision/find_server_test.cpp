// Which server of a configuration has these addresses.
#include "daemon/decision/find_server.hpp"

#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "tests/unit/daemon/decision/plan_fixture.hpp"

namespace hanat::test {
namespace {

std::vector<Endpoint> only_at(const char* address, std::uint16_t port) { return {planning::endpoint(address, port)}; }

ServerState state_at(const char* address, std::uint16_t port, std::string host = {}) {
  return {.role = "backup", .addresses = only_at(address, port), .probes = {}, .host = std::move(host)};
}

std::vector<ServerConfig> three_servers() {
  std::vector<ServerConfig> servers(3);
  servers[0].addresses = {planning::endpoint("10.0.0.1", 80), planning::endpoint("fd00::1", 80)};
  servers[1].addresses = only_at("10.0.0.2", 80);
  servers[2].addresses = only_at("10.0.0.2", 81);
  return servers;
}

TEST(FindServer, ByAllAddressesThenByOneThenByItsMachine) {
  std::vector<ServerConfig> servers = three_servers();
  EXPECT_EQ(find_server(servers, state_at("10.0.0.2", 81), {}), 2U);
  EXPECT_EQ(find_server(servers, state_at("10.0.0.1", 80), {}), 0U) << "it got a second family";
  EXPECT_EQ(find_server(servers, state_at("10.0.0.1", 8080), {}), 0U) << "it got another port";
  EXPECT_EQ(find_server(servers, state_at("10.0.0.2", 82), {}), std::nullopt) << "either of two";
  EXPECT_EQ(find_server(servers, state_at("10.0.0.3", 80), {}), std::nullopt);
  std::vector<ServerState> before(2);
  before[0].addresses = servers[1].addresses;
  servers.pop_back();
  EXPECT_EQ(find_server(servers, state_at("10.0.0.2", 81), before), std::nullopt) << "that one was there before";
}

TEST(FindServer, ByEndpointANeighbourOnTheSameMachineIsAnother) {
  const std::vector<ServerConfig> servers = three_servers();
  EXPECT_EQ(find_by_endpoint(servers, only_at("10.0.0.2", 81)), 2U);
  EXPECT_EQ(find_by_endpoint(servers, only_at("fd00::1", 80)), 0U);
  EXPECT_EQ(find_by_endpoint(servers, only_at("10.0.0.1", 8080)), std::nullopt);
}

TEST(FindServer, ByItsNameWhateverItsAddressesAreNow) {
  std::vector<ServerConfig> servers = three_servers();
  servers[2].host = HostName{.name = "db.lan", .port = 81};
  EXPECT_EQ(find_server(servers, state_at("10.0.0.9", 81, "db.lan:81"), {}), 2U);
  EXPECT_EQ(find_server(servers, state_at("10.0.0.1", 80, "gone.lan"), {}), 0U) << "it is configured by its address now";
  servers[2].addresses.clear();
  EXPECT_EQ(find_by_name(servers, "db.lan:81", {}), 2U);
  EXPECT_EQ(find_by_endpoint(servers, {}), std::nullopt) << "a name without an address";
}

} // namespace
} // namespace hanat::test
