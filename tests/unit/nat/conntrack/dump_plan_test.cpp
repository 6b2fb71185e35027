// The dumps that are planned for a list of mappings. Not here: running them (netns/nat/conntrack/cut_test).
#include "nat/conntrack/dump_plan.hpp"

#include <algorithm>
#include <span>
#include <stdexcept>

#include <gtest/gtest.h>

namespace hanat::nat {
namespace {

Address parsed_address(const char* text) {
  const auto parsed = Address::parse(text);
  if (!parsed) throw std::invalid_argument(text);
  return *parsed;
}

Mapping mapping(std::uint16_t vip_port, const char* server = "10.0.0.11", std::uint16_t server_port = 8443,
                Protocol protocol = Protocol::tcp) {
  return {.vip = {.address = parsed_address("203.0.113.10"), .protocol = protocol, .port = vip_port},
          .server = {.address = parsed_address(server), .port = server_port}};
}

std::vector<Scan> plan(std::span<const Mapping> mappings, FilterSupport support, std::uint64_t entries,
                       FlowScope scope = FlowScope::clients) {
  return nat::plan(mappings, {.opened_by_client = support, .opened_by_server = support, .related = true}, entries, scope);
}

/// Every mapping is in exactly one scan, and that scan's filter shows its entries.
void expect_covered(const std::vector<Scan>& scans, const std::vector<Mapping>& mappings) {
  std::vector<Mapping> covered;
  for (const Scan& scan : scans)
    for (const Mapping& member : scan.mappings) {
      EXPECT_TRUE(matches(scan.filter, member));
      covered.push_back(member);
    }
  std::ranges::sort(covered);
  EXPECT_TRUE(std::ranges::is_permutation(covered, mappings));
}

TEST(DumpPlan, NoMappingsMeanNoDump) {
  for (const FilterSupport support : {FilterSupport::nothing, FilterSupport::ports, FilterSupport::addresses})
    EXPECT_TRUE(plan({}, support, 100'000).empty());
}

TEST(DumpPlan, WithoutFiltersThereIsOneFullDump) {
  const std::vector mappings{mapping(1), mapping(2, "10.0.0.12")};
  EXPECT_EQ(plan(mappings, FilterSupport::nothing, 100'000),
            (std::vector<Scan>{{.filter = {}, .mappings = mappings, .opened_by_client = true}}));
}

TEST(DumpPlan, OneMappingIsFilteredByAllItsFields) {
  const std::vector mappings{mapping(443)};
  EXPECT_EQ(plan(mappings, FilterSupport::addresses, 0),
            (std::vector<Scan>{{.filter = filter_of(mappings[0]), .mappings = mappings, .opened_by_client = true}}));
}

TEST(DumpPlan, ManyMappingsOfOneServerAreOneDump) {
  std::vector<Mapping> mappings;
  for (std::uint16_t port = 1; port <= 5'000; ++port) mappings.push_back(mapping(port));
  const auto scans = plan(mappings, FilterSupport::addresses, 0);
  ASSERT_EQ(scans.size(), 1U);
  EXPECT_EQ(scans[0].filter, server_filter(mappings[0]));
  expect_covered(scans, mappings);
}

TEST(DumpPlan, TooManyServersAreOneFullDump) {
  const std::vector mappings{mapping(1, "10.0.0.1"), mapping(2, "10.0.0.2"), mapping(3, "10.0.0.3")};
  const auto few_entries = plan(mappings, FilterSupport::addresses, 15'999);
  ASSERT_EQ(few_entries.size(), 1U);
  EXPECT_EQ(few_entries[0].filter, Filter{});
  expect_covered(few_entries, mappings);
  const auto many_entries = plan(mappings, FilterSupport::addresses, 16'000);
  EXPECT_EQ(many_entries.size(), 3U);
  expect_covered(many_entries, mappings);
}

TEST(DumpPlan, WithSupportForPortsOnlyNoAddressIsFiltered) {
  const std::vector mappings{mapping(443, "10.0.0.1"), mapping(443, "10.0.0.2"), mapping(444, "10.0.0.1")};
  const auto scans = plan(mappings, FilterSupport::ports, 100'000);
  EXPECT_EQ(scans.size(), 2U);
  for (const Scan& scan : scans) {
    EXPECT_FALSE(scan.filter.vip || scan.filter.server);
    EXPECT_TRUE(scan.filter.protocol && scan.filter.vip_port && scan.filter.server_port);
  }
  expect_covered(scans, mappings);
}

TEST(DumpPlan, NoPortOfSctpIsEverFiltered) {
  const std::vector mappings{mapping(443, "10.0.0.1", 1, Protocol::sctp), mapping(444, "10.0.0.2", 2, Protocol::sctp)};
  for (const FilterSupport support : {FilterSupport::nothing, FilterSupport::ports, FilterSupport::addresses}) {
    const auto scans = plan(mappings, support, 1'000'000);
    for (const Scan& scan : scans) EXPECT_FALSE(scan.filter.vip_port || scan.filter.server_port);
    expect_covered(scans, mappings);
  }
}

TEST(DumpPlan, NoPortOfARangeIsEverFiltered) {
  std::vector mappings{mapping(5000, "10.0.0.1", 0), mapping(5000, "10.0.0.2", 0, Protocol::udp)};
  for (Mapping& range : mappings) range.vip.last = 9000;
  for (const FilterSupport support : {FilterSupport::nothing, FilterSupport::ports, FilterSupport::addresses}) {
    const auto scans = plan(mappings, support, 1'000'000);
    for (const Scan& scan : scans) EXPECT_FALSE(scan.filter.vip_port || scan.filter.server_port);
    expect_covered(scans, mappings);
  }
  EXPECT_EQ(plan({&mappings[0], 1}, FilterSupport::addresses, 0)[0].filter, server_filter(mappings[0]))
      << "one of the filters that detect() checks";
  EXPECT_EQ(plan({&mappings[0], 1}, FilterSupport::ports, 0)[0].filter, protocol_filter(Protocol::tcp));
}

TEST(DumpPlan, EachProtocolHasItsOwnDump) {
  const std::vector mappings{mapping(443), mapping(443, "10.0.0.11", 8443, Protocol::udp)};
  const auto scans = plan(mappings, FilterSupport::addresses, 1'000'000);
  EXPECT_EQ(scans.size(), 2U);
  expect_covered(scans, mappings);
}

TEST(DumpPlan, FlowsThatServersOpenedAndRelatedOnesComeAfterThoseOfClients) {
  const std::vector mappings{mapping(443)};
  const auto scans = plan(mappings, FilterSupport::addresses, 100'000, FlowScope::all);
  ASSERT_EQ(scans.size(), 3U);
  EXPECT_TRUE(scans[0].opened_by_client && !scans[0].opened_by_server && !scans[0].related);
  EXPECT_EQ(scans[0].filter, filter_of(mappings[0]));
  for (const Scan& scan : {scans[1], scans[2]}) {
    EXPECT_NE(scan.opened_by_server, scan.related);
    EXPECT_EQ(scan.filter, scan.related ? related_filter() : filter_of(mappings[0], Opener::server));
    EXPECT_EQ(scan.mappings, mappings);
  }
  const auto others = plan(mappings, FilterSupport::addresses, 100'000, FlowScope::others);
  EXPECT_EQ(others, (std::vector{scans[1], scans[2]}));
}

TEST(DumpPlan, OfASmallTableOneDumpFindsAll) {
  const std::vector mappings{mapping(443)};
  const Scan all{.filter = {}, .mappings = mappings, .opened_by_client = true, .opened_by_server = true, .related = true};
  EXPECT_EQ(plan(mappings, FilterSupport::addresses, 15'999, FlowScope::all), std::vector{all});
  EXPECT_EQ(plan(mappings, FilterSupport::nothing, 100'000, FlowScope::all)[0].filter, Filter{});
}

TEST(DumpPlan, AFilterByProtocolAloneFindsFlowsOfEitherOpener) {
  std::vector mappings{mapping(5000, "10.0.0.1", 0)};
  mappings[0].vip.last = 9000;
  const auto scans = plan(mappings, FilterSupport::ports, 100'000, FlowScope::all);
  ASSERT_EQ(scans.size(), 2U);
  EXPECT_EQ(scans[0].filter, protocol_filter(Protocol::tcp));
  EXPECT_TRUE(scans[0].opened_by_client && scans[0].opened_by_server);
  EXPECT_EQ(scans[0].mappings, mappings);
}

TEST(DumpPlan, NothingThatTheGatewayOpensFromAnEndpointIsLookedFor) {
  const std::vector mappings{untranslated(mapping(443).vip)};
  for (const Scan& scan : plan(mappings, FilterSupport::addresses, 100'000, FlowScope::all)) EXPECT_FALSE(scan.opened_by_server);
}

} // namespace
} // namespace hanat::nat
