// Which flows are expected, and which are not. Not here: reading conntrack (netns).
#include "nat/conntrack/expected_flows.hpp"

#include <array>
#include <stdexcept>

#include <gtest/gtest.h>

namespace hanat::nat {
namespace {

Endpoint flow_endpoint(const char* address, std::uint16_t port) {
  const auto parsed = Address::parse(address);
  if (!parsed) throw std::invalid_argument(address);
  return {*parsed, port};
}
const Vip flow_web{flow_endpoint("203.0.113.10", 0).address, Protocol::tcp, 443};
const Vip flow_udp{flow_web.address, Protocol::udp, 443};
const Endpoint flow_primary = flow_endpoint("198.18.1.2", 8443), flow_backup = flow_endpoint("198.18.2.2", 8443);

TEST(ExpectedFlows, FlowsOfOtherEndpointsAreExpected) {
  const ExpectedFlows empty;
  EXPECT_FALSE(empty.unexpected({flow_web, flow_primary}));
  EXPECT_FALSE(empty.about(Family::ipv4));
  ExpectedFlows expected;
  expected.expect(flow_web, std::array{flow_primary});
  EXPECT_FALSE(expected.unexpected({flow_udp, flow_backup})) << "another protocol";
  EXPECT_TRUE(expected.about(Family::ipv4));
  EXPECT_FALSE(expected.about(Family::ipv6));
  EXPECT_FALSE(expected.unexpected({{flow_web.address, Protocol::tcp, 22}, flow_backup})) << "another port";
}

TEST(ExpectedFlows, FlowsOfAnEndpointToOtherServersAreUnexpected) {
  ExpectedFlows expected;
  expected.expect(flow_web, std::array{flow_primary});
  expected.expect(flow_udp, {});
  EXPECT_FALSE(expected.unexpected({flow_web, flow_primary}));
  EXPECT_TRUE(expected.unexpected({flow_web, flow_backup}));
  EXPECT_TRUE(expected.unexpected({flow_web, {flow_primary.address, 1}})) << "another port of the same server";
  EXPECT_TRUE(expected.unexpected(untranslated(flow_web)));
  EXPECT_TRUE(expected.unexpected({flow_udp, flow_primary})) << "no server is expected";
  expected.expect(flow_web, std::array{flow_backup});
  EXPECT_FALSE(expected.unexpected({flow_web, flow_backup}));
  EXPECT_FALSE(expected.unexpected({flow_web, flow_primary}));
}

TEST(ExpectedFlows, IgnoredMappingsAreNeverUnexpected) {
  ExpectedFlows expected;
  expected.expect(flow_web, std::array{flow_primary});
  expected.ignore({flow_web, flow_backup});
  EXPECT_FALSE(expected.unexpected({flow_web, flow_backup}));
}

TEST(ExpectedFlows, OfADisownedEndpointOnlyFlowsToItsOldServerAreUnexpected) {
  ExpectedFlows expected;
  expected.disown({flow_web, flow_primary});
  EXPECT_TRUE(expected.unexpected({flow_web, flow_primary}));
  EXPECT_FALSE(expected.unexpected({flow_web, flow_backup})) << "not hanat's";
  expected.ignore({flow_web, flow_primary});
  EXPECT_FALSE(expected.unexpected({flow_web, flow_primary}));
  ExpectedFlows again;
  again.disown({flow_web, flow_primary});
  again.expect(flow_web, std::array{flow_primary});
  EXPECT_FALSE(again.unexpected({flow_web, flow_primary})) << "expected again";
}

TEST(ExpectedFlows, ARangeExpectsFlowsThatKeepTheirPort) {
  const Vip range{.address = flow_web.address, .protocol = Protocol::tcp, .port = 5'000, .last = 9'000};
  ExpectedFlows expected;
  expected.expect(range, std::vector<Endpoint>{{.address = flow_primary.address, .port = 0}});
  const auto flow = [](std::uint16_t port, const Address& server, std::uint16_t server_port) {
    return Mapping{.vip = {.address = flow_web.address, .protocol = Protocol::tcp, .port = port},
                   .server = {.address = server, .port = server_port}};
  };
  EXPECT_EQ(expected.unexpected(flow(6'000, flow_primary.address, 6'000)), std::nullopt);
  EXPECT_EQ(expected.unexpected(flow(9'001, flow_backup.address, 9'001)), std::nullopt) << "outside the range";
  const Mapping of_the_range{.vip = range, .server = {.address = flow_backup.address, .port = 0}};
  EXPECT_EQ(expected.unexpected(flow(6'000, flow_backup.address, 6'000)), of_the_range);
  EXPECT_EQ(expected.unexpected(flow(6'000, flow_primary.address, 6'001)), flow(6'000, flow_primary.address, 6'001))
      << "not kept: its own mapping";
  EXPECT_EQ(expected.unexpected(of_the_range), of_the_range) << "a range as the entry";
  EXPECT_EQ(expected.unexpected(flow(6'000, flow_web.address, 6'000)), untranslated(range));
  expected.ignore(of_the_range);
  EXPECT_EQ(expected.unexpected(flow(6'000, flow_backup.address, 6'000)), std::nullopt);
}

TEST(ExpectedFlows, OfFlowsThatServersOpenedOnlyThoseOfOtherServersOfTheServiceAreUnexpected) {
  ExpectedFlows expected;
  const std::array all{flow_primary, flow_backup};
  expected.expect(flow_web, std::array{flow_primary}, all);
  EXPECT_EQ(expected.unexpected_from_server({flow_web, flow_backup}), (Mapping{flow_web, flow_backup}));
  EXPECT_FALSE(expected.unexpected_from_server({flow_web, flow_primary}));
  EXPECT_FALSE(expected.unexpected_from_server({flow_web, {flow_backup.address, 40'000}})) << "another port: not a service's";
  EXPECT_FALSE(expected.unexpected_from_server({flow_web, flow_endpoint("198.18.3.2", 8443)})) << "another machine behind the gateway";
  EXPECT_FALSE(expected.unexpected_from_server({flow_udp, flow_backup})) << "another protocol";
  expected.ignore({flow_web, flow_backup});
  EXPECT_FALSE(expected.unexpected_from_server({flow_web, flow_backup}));
  ExpectedFlows disowned;
  disowned.disown({flow_web, flow_backup});
  EXPECT_FALSE(disowned.unexpected_from_server({flow_web, flow_backup})) << "somebody else's source now";
}

TEST(ExpectedFlows, ARangeExpectsNoneOfAnotherServersOwnFlows) {
  const auto flow = [](std::uint16_t port) {
    return Mapping{.vip = {.address = flow_web.address, .protocol = Protocol::udp, .port = port},
                   .server = {.address = flow_backup.address, .port = port}};
  };
  const std::array all{Endpoint{flow_primary.address, 0}, Endpoint{flow_backup.address, 0}};
  for (const std::uint16_t last : {std::uint16_t{9'000}, std::uint16_t{65'535}}) {
    const Vip range{.address = flow_web.address, .protocol = Protocol::udp, .port = 5'000, .last = last};
    ExpectedFlows expected;
    expected.expect(range, std::array{all[0]}, all);
    EXPECT_EQ(expected.unexpected_from_server(flow(6'000)), (Mapping{range, all[1]}));
    EXPECT_FALSE(expected.unexpected_from_server(flow(40'000))) << "a port from which it asks others";
    Mapping other_port = flow(6'000);
    other_port.server.port = 6'001;
    EXPECT_FALSE(expected.unexpected_from_server(other_port));
  }
}

} // namespace
} // namespace hanat::nat
