// Which mapping the entries of a dump belong to: flows that clients opened, flows that servers opened, related flows.
// Not here: the bytes of entries (messages_test), deleting them (netns/nat/conntrack/cut_test).
#include "nat/conntrack/flow_finder.hpp"

#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

#include "nat/conntrack/messages.hpp"

namespace hanat::nat {
namespace {

Endpoint finder_end(const char* address, std::uint16_t port) {
  const auto parsed = Address::parse(address);
  if (!parsed) throw std::invalid_argument(address);
  return {*parsed, port};
}

/// An entry with the bytes that it points into.
struct Dumped {
  explicit Dumped(const NewEntry& from) {
    put_new(bytes, 1, from);
    entry = parse_entry(*reinterpret_cast<const nlmsghdr*>(bytes.data())).value();
  }
  MessageBatch bytes;
  Entry entry;
};

class FlowFinderTest : public testing::TestWithParam<std::pair<Protocol, bool>> {
protected:
  const Protocol protocol = GetParam().first;
  const bool ipv6 = GetParam().second;
  Endpoint end(const char* v4, const char* v6, std::uint16_t port) const { return finder_end(ipv6 ? v6 : v4, port); }
  const Endpoint server = end("198.18.11.2", "fd00:11::2", 8443), other_server = end("198.18.12.2", "fd00:12::2", 8443);
  const Endpoint client = end("198.18.1.2", "fd00:1::2", 40'000), vip = end("203.0.113.10", "2001:db8::10", 443);
  const Mapping mapping{{vip.address, protocol, 443}, server};
  Mapping range(std::uint16_t first, std::uint16_t last) const { return {{vip.address, protocol, first, last}, {server.address, 0}}; }
  Mapping at(std::uint16_t port) const { return {{vip.address, protocol, port}, {server.address, port}}; }

  static Scan all(std::vector<Mapping> mappings) {
    return {.filter = {}, .mappings = std::move(mappings), .opened_by_client = true, .opened_by_server = true, .related = true};
  }
  /// The mapping, or an empty one.
  static Mapping found(const Scan& scan, const NewEntry& flow) {
    const Dumped dumped{flow};
    const FlowFinder finder{scan};
    const auto result = finder.find(dumped.entry);
    return result ? *result->mapping : Mapping{};
  }
};
INSTANTIATE_TEST_SUITE_P(, FlowFinderTest,
                         testing::Values(std::pair{Protocol::tcp, false}, std::pair{Protocol::udp, true},
                                         std::pair{Protocol::sctp, false}));

TEST_P(FlowFinderTest, TellsTheClientWhoeverOpenedTheFlow) {
  const Scan scan = all({mapping});
  const FlowFinder finder{scan};
  for (const Opener opener : {Opener::client, Opener::server}) {
    const Dumped dumped{{.mapping = mapping, .client = client, .opener = opener}};
    const auto flow = finder.find(dumped.entry);
    ASSERT_TRUE(flow);
    EXPECT_EQ(*flow->mapping, mapping);
    EXPECT_EQ(flow->vip, vip);
    EXPECT_EQ(flow->client, client);
    EXPECT_EQ(flow->opener, opener);
  }
}

TEST_P(FlowFinderTest, FindsOnlyWhatTheScanLooksFor) {
  Scan scan{.filter = {}, .mappings = {mapping}, .opened_by_client = true};
  EXPECT_EQ(found(scan, {.mapping = mapping, .client = client, .opener = Opener::server}), Mapping{});
  scan = {.filter = {}, .mappings = {mapping}, .opened_by_server = true};
  EXPECT_EQ(found(scan, {.mapping = mapping, .client = client}), Mapping{});
}

TEST_P(FlowFinderTest, AFlowThatAServerOpenedHasServerAndEndpointExactly) {
  const Scan scan = all({mapping});
  const auto opened = [&](const Mapping& flow) { return found(scan, {.mapping = flow, .client = client, .opener = Opener::server}); };
  EXPECT_EQ(opened(mapping), mapping);
  EXPECT_EQ(opened({mapping.vip, other_server}), Mapping{});
  EXPECT_EQ(opened({mapping.vip, {server.address, 8444}}), Mapping{});
  EXPECT_EQ(opened({{vip.address, protocol, 444}, server}), Mapping{});
}

TEST_P(FlowFinderTest, OfARangeAServerOpensFlowsFromThePortThatItKeeps) {
  const Scan scan = all({range(5'000, 9'000)});
  const auto opened = [&](const Scan& in, const Mapping& flow) {
    return found(in, {.mapping = flow, .client = client, .opener = Opener::server});
  };
  EXPECT_EQ(opened(scan, at(6'000)), scan.mappings[0]);
  EXPECT_EQ(opened(scan, at(9'001)), Mapping{});
  EXPECT_EQ(opened(scan, {at(6'000).vip, {server.address, 6'001}}), Mapping{});
  const Scan every_port = all({range(1, 65'535)});
  EXPECT_EQ(opened(every_port, at(6'000)), every_port.mappings[0]);
  EXPECT_EQ(opened(every_port, at(40'000)), Mapping{}) << "the server's own: it asks somebody";
  EXPECT_EQ(found(every_port, {.mapping = at(40'000), .client = client}), every_port.mappings[0]) << "a client's";
}

TEST_P(FlowFinderTest, AFlowOfTheGatewayItselfIsNoneThatAServerOpened) {
  const Scan scan = all({untranslated({vip.address, protocol, 1, 65'535})});
  const Mapping own{{vip.address, protocol, 5'060}, {vip.address, 5'060}};
  EXPECT_EQ(found(scan, {.mapping = own, .client = client, .opener = Opener::server}), Mapping{});
}

TEST_P(FlowFinderTest, ARelatedFlowBelongsToTheMappingOfItsMaster) {
  const Scan scan = all({mapping});
  const Mapping data{{vip.address, protocol, 30'000}, {server.address, 30'000}};
  for (const Opener master_opener : {Opener::client, Opener::server})
    for (const Opener opener : {Opener::client, Opener::server}) {
      const Tuple master = original_of({.mapping = mapping, .client = client, .opener = master_opener});
      EXPECT_EQ(found(scan, {.mapping = data, .client = client, .opener = opener, .master = master}), mapping);
      EXPECT_EQ(found(scan, {.mapping = data, .client = client, .opener = opener}), Mapping{}) << "without a master";
    }
}

TEST_P(FlowFinderTest, ARelatedFlowOfAnotherServerOrEndpointIsNotFound) {
  const Scan scan = all({mapping});
  const Tuple master = original_of({.mapping = mapping, .client = client});
  const Mapping elsewhere{{vip.address, protocol, 30'000}, {other_server.address, 30'000}};
  EXPECT_EQ(found(scan, {.mapping = elsewhere, .client = client, .master = master}), Mapping{})
      << "its master is a flow of the same endpoint to another server";
  const Mapping data{{vip.address, protocol, 30'000}, {server.address, 30'000}};
  const Tuple other_master = original_of({.mapping = {{vip.address, protocol, 444}, server}, .client = client});
  EXPECT_EQ(found(scan, {.mapping = data, .client = client, .master = other_master}), Mapping{});
}

} // namespace
} // namespace hanat::nat
