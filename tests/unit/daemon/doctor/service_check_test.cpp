// What is examined of a service. Not here: examining it.
#include "daemon/doctor/service_check.hpp"

#include <gtest/gtest.h>

namespace hanat {
namespace {

Vip listener(const char* address, Protocol protocol, std::uint16_t port) {
  return {.address = *Address::parse(address), .protocol = protocol, .port = port};
}

ServiceConfig configured() {
  ServiceConfig config;
  config.name = "web";
  config.listen = {listener("203.0.113.10", Protocol::tcp, 443), listener("203.0.113.10", Protocol::tcp, 80),
                   listener("2001:db8::10", Protocol::tcp, 443), listener("203.0.113.10", Protocol::udp, 53)};
  ServerConfig primary;
  primary.role = "primary";
  primary.addresses = {{*Address::parse("10.0.0.11"), 0}};
  probes::ProbeSpec probe;
  probe.kind = probes::Kind::udp;
  probe.edit<probes::SendExpectSpec>().send = "hello";
  primary.probes = {probe};
  config.servers = {primary};
  return config;
}

TEST(ServiceCheck, TakesOneEndpointOfEachFamilyAndProtocolThatIsServed) {
  const ServiceConfig config = configured();
  const ServiceCheck check = check_of(config, &config.servers[0], true);
  EXPECT_TRUE(check.probes_pass);
  ASSERT_EQ(check.endpoints.size(), 2U) << "the server has no IPv6 address";
  EXPECT_EQ(check.endpoints[0].vip, config.listen[0]);
  EXPECT_EQ(to_text(*check.endpoints[0].server), "10.0.0.11:443");
  EXPECT_EQ(check.endpoints[0].payload, "");
  EXPECT_EQ(check.endpoints[1].payload, "hello");
}

TEST(ServiceCheck, HasNoNewsWithoutATarget) {
  const ServiceConfig config = configured();
  EXPECT_FALSE(check_of(config, nullptr, true).probes_pass);
  EXPECT_FALSE(check_of(config, &config.servers[0], false).probes_pass);
}

TEST(ServiceCheck, ListsTheServersThatAreNotTheTarget) {
  ServiceConfig config = configured();
  config.servers.push_back(config.servers.front());
  config.servers.back().role = "backup";
  config.servers.back().addresses = {{*Address::parse("10.0.0.12"), 8443}};
  const auto others = others_of(config, config.servers.data());
  ASSERT_EQ(others.size(), 2U) << "TCP and UDP";
  EXPECT_EQ(others[0].role, "backup");
  EXPECT_EQ(to_text(others[0].endpoint), "10.0.0.12:8443");
  EXPECT_EQ(others[1].vip.protocol, Protocol::udp);
  EXPECT_EQ(others_of(config, nullptr).size(), 4U);
}

TEST(OwnClient, IsKnownByItsAddresses) {
  for (const ClientAddresses& client : {doctor_client("hanat"), path_check_client("hanat"), doctor_client("other")}) {
    EXPECT_TRUE(is_own_client(client.ipv4));
    EXPECT_TRUE(is_own_client(client.ipv6));
  }
  EXPECT_FALSE(is_own_client(*Address::parse("198.19.255.252")));
}

} // namespace
} // namespace hanat
