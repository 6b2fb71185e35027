// Port ranges: overlaps, differences, and the mapping of a flow. Not here: the kernel's sets of ranges (netns).
#include "nat/port_range.hpp"

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace hanat {
namespace {

Address parsed_of(const char* text) {
  const auto parsed = Address::parse(text);
  if (!parsed) throw std::invalid_argument(text);
  return *parsed;
}
Vip ports(std::uint16_t port, std::uint16_t last = 0, Protocol protocol = Protocol::tcp, const char* where = "203.0.113.10") {
  return {.address = parsed_of(where), .protocol = protocol, .port = port, .last = last};
}
Mapping to_server(const Vip& vip, std::uint16_t port = 0, const char* server = "10.0.0.11") {
  return {.vip = vip, .server = {.address = parsed_of(server), .port = port}};
}

TEST(PortRange, OverlapsWhereItSharesAPort) {
  EXPECT_TRUE(overlap(ports(1, 10), ports(10, 20)));
  EXPECT_TRUE(overlap(ports(1, 65'535), ports(443)));
  EXPECT_TRUE(overlap(ports(443), ports(443)));
  EXPECT_FALSE(overlap(ports(1, 10), ports(11, 20)));
  EXPECT_FALSE(overlap(ports(443), ports(444)));
  EXPECT_FALSE(overlap(ports(1, 10), ports(1, 10, Protocol::udp)));
  EXPECT_FALSE(overlap(ports(1, 10), ports(1, 10, Protocol::tcp, "203.0.113.11")));
  EXPECT_TRUE(covers(ports(1, 10), ports(1, 10)));
  EXPECT_FALSE(covers(ports(1, 10), ports(10, 11)));
}

TEST(PortRange, IsFoundInAMapByAnyOfItsPorts) {
  const std::map<Vip, std::string> map{{ports(22), "ssh"},
                                       {ports(100, 200), "low"},
                                       {ports(300, 65'535), "high"},
                                       {ports(1, 65'535, Protocol::udp), "udp"},
                                       {ports(1, 65'535, Protocol::tcp, "2001:db8::10"), "six"}};
  const auto found = [&](const Vip& vip) {
    const auto entry = find_covering(map, vip);
    return entry == map.end() ? std::string{} : entry->second;
  };
  EXPECT_EQ(found(ports(22)), "ssh");
  EXPECT_EQ(found(ports(21)), "");
  EXPECT_EQ(found(ports(100)), "low");
  EXPECT_EQ(found(ports(200)), "low");
  EXPECT_EQ(found(ports(201)), "");
  EXPECT_EQ(found(ports(65'535)), "high");
  EXPECT_EQ(found(ports(1, 0, Protocol::udp)), "udp");
  EXPECT_EQ(found(ports(80, 0, Protocol::tcp, "2001:db8::10")), "six");
  EXPECT_EQ(found(ports(80, 0, Protocol::sctp)), "");
  std::string all;
  for_overlapping(map, ports(10, 400), [&](const auto& entry) { all += entry.second + " "; });
  EXPECT_EQ(all, "ssh low high ");
}

TEST(PortRange, TheDifferenceIsEveryOtherPort) {
  EXPECT_EQ(without(ports(1, 10), {}), std::vector{ports(1, 10)});
  const std::vector others{ports(3, 4), ports(10, 12), ports(7, 0, Protocol::udp)};
  EXPECT_EQ(without(ports(1, 10), others), (std::vector{ports(1, 2), ports(5, 9)}));
  EXPECT_EQ(without(ports(2, 5), others), (std::vector{ports(2), ports(5)})) << "one port is no range";
  EXPECT_TRUE(without(ports(3), others).empty());
  EXPECT_EQ(without(ports(1, 65'535), std::vector{ports(1), ports(65'535)}), std::vector{ports(2, 65'534)});
}

TEST(PortRange, FlowsAreSharedByServerAndPort) {
  EXPECT_TRUE(share_flows(to_server(ports(1, 10)), to_server(ports(5, 20))));
  EXPECT_FALSE(share_flows(to_server(ports(1, 10)), to_server(ports(5, 20), 0, "10.0.0.12")));
  EXPECT_TRUE(share_flows(to_server(ports(1, 10)), to_server(ports(5), 5)));
  EXPECT_FALSE(share_flows(to_server(ports(1, 10)), to_server(ports(5), 8443))) << "the range's flow keeps its port";
  EXPECT_FALSE(share_flows(to_server(ports(5), 5), to_server(ports(5), 8443)));
  EXPECT_EQ(without(to_server(ports(1, 10)), std::vector{to_server(ports(1, 8))}), std::vector{to_server(ports(9, 10))});
  EXPECT_EQ(without(to_server(ports(1, 10)), std::vector{to_server(ports(1, 9))}), std::vector{to_server(ports(10), 10)});
  EXPECT_TRUE(without(to_server(ports(5), 5), std::vector{to_server(ports(1, 9))}).empty());
}

TEST(PortRange, AnEntryBelongsToTheRangeWhosePortItKept) {
  const std::vector mappings{to_server(ports(443), 8443), to_server(ports(1000, 2000)), to_server(ports(3000, 4000)),
                             to_server(ports(1000, 2000), 0, "10.0.0.12"), to_server(ports(1, 65'535, Protocol::sctp))};
  const MappingIndex index{mappings};
  const auto found = [&](const Mapping& entry) {
    const Mapping* mapping = index.find(entry);
    return mapping == nullptr ? Mapping{} : *mapping;
  };
  EXPECT_EQ(found(to_server(ports(443), 8443)), mappings[0]);
  EXPECT_EQ(found(to_server(ports(443), 443)), Mapping{});
  for (const std::uint16_t port : std::initializer_list<std::uint16_t>{1000, 1500, 2000})
    EXPECT_EQ(found(to_server(ports(port), port)), mappings[1]) << port;
  EXPECT_EQ(found(to_server(ports(2001), 2001)), Mapping{});
  EXPECT_EQ(found(to_server(ports(3000), 3000)), mappings[2]);
  EXPECT_EQ(found(to_server(ports(1500), 1501)), Mapping{}) << "the port was not kept";
  EXPECT_EQ(found(to_server(ports(1500), 1500, "10.0.0.12")), mappings[3]);
  EXPECT_EQ(found(to_server(ports(1500), 1500, "10.0.0.13")), Mapping{});
  EXPECT_EQ(found(to_server(ports(9, 0, Protocol::sctp), 9)), mappings[4]);
  EXPECT_EQ(found(to_server(ports(1500, 0, Protocol::tcp, "203.0.113.11"), 1500)), Mapping{});
  const MappingIndex early{std::vector{untranslated(ports(1, 65'535))}};
  EXPECT_NE(early.find(to_server(ports(22), 22, "203.0.113.10")), nullptr) << "began before the rules were loaded";
  EXPECT_EQ(early.find(to_server(ports(22), 22)), nullptr);
}

TEST(PortRange, OverlappingMappingsAreAllFound) {
  const std::vector mappings{to_server(ports(1, 65'535)), to_server(ports(100, 200)), to_server(ports(150, 160))};
  const MappingIndex index{mappings};
  for (const std::uint16_t port : std::initializer_list<std::uint16_t>{50, 100, 155, 180, 300})
    EXPECT_NE(index.find(to_server(ports(port), port)), nullptr) << port;
}

TEST(PortRange, AServerMayOpenItsOwnFlowsFromARangeThatHasAllPortsForThem) {
  EXPECT_TRUE(may_open_from(ports(443), 443));
  EXPECT_TRUE(may_open_from(ports(40'000), 40'000));
  EXPECT_TRUE(may_open_from(ports(30'000, 40'000), 35'000)) << "chosen for the service";
  EXPECT_TRUE(may_open_from(ports(50'000, 65'535), 60'000));
  EXPECT_TRUE(may_open_from(ports(1, 65'535), 5'060));
  EXPECT_FALSE(may_open_from(ports(1, 65'535), 40'000));
  EXPECT_FALSE(may_open_from(ports(1'024, 60'999), 60'000));
  const MappingIndex index{std::vector{to_server(ports(1, 65'535)), to_server(ports(40'000), 40'000)}};
  EXPECT_NE(index.find_opened_by_server(to_server(ports(5'060), 5'060)), nullptr);
  EXPECT_EQ(index.find_opened_by_server(to_server(ports(50'000), 50'000)), nullptr);
  EXPECT_NE(index.find(to_server(ports(50'000), 50'000)), nullptr);
  EXPECT_NE(index.find_opened_by_server(to_server(ports(40'000), 40'000)), nullptr) << "named by itself";
}

} // namespace
} // namespace hanat
