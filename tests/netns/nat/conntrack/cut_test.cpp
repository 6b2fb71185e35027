// The cut in the kernel: every method, both families, interrupted dumps. Each test has its own network namespace; the remaining entries are
// read independently of nat (lab/synth). Not here: kernels with fewer features (capabilities_test).
#include "nat/conntrack/cut.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <set>
#include <system_error>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "nat/conntrack/socket.hpp"
#include "tests/netns/lab/isolated.hpp"
#include "tests/netns/lab/synth.hpp"

namespace hanat::nat {
namespace {

using test::conntrack_entries;
using test::endpoint;
using test::Flow;
using test::flows_of;
using test::isolated;
using test::synthesise;

constexpr auto methods = {DeleteMethod::filtered_delete, DeleteMethod::filtered_dump, DeleteMethod::full_dump};
const std::atomic<bool> not_cancelled{false};

Vip vip_of(Family family, Protocol protocol = Protocol::tcp, std::uint16_t port = 443, int host = 10) {
  return test::vip(fmt::format("{}{}", family == Family::ipv4 ? "203.0.113." : "2001:db8::", host), port, protocol);
}
Endpoint server_of(Family family, int host, std::uint16_t port = 8443) {
  return endpoint(fmt::format("{}{}", family == Family::ipv4 ? "198.19.0." : "fd00::", host), port);
}
Mapping mapping_of(Family family, Protocol protocol = Protocol::tcp) {
  return {.vip = vip_of(family, protocol), .server = server_of(family, 11)};
}

void append(std::vector<Flow>& flows, std::vector<Flow> more) { flows.insert(flows.end(), more.begin(), more.end()); }

/// Flows that a cut of mapping_of() must not delete: each differs from it in one thing.
std::vector<Flow> neighbours(Family family, std::size_t each) {
  const Mapping cut = mapping_of(family);
  const Vip& vip = cut.vip;
  const Family other_family = family == Family::ipv4 ? Family::ipv6 : Family::ipv4;
  std::vector<Flow> flows;
  for (const Mapping& mapping : {
           Mapping{.vip = vip, .server = server_of(family, 12)},
           Mapping{.vip = vip, .server = server_of(family, 11, 8444)},
           Mapping{.vip = vip_of(family, Protocol::tcp, 444), .server = cut.server},
           Mapping{.vip = vip_of(family, Protocol::tcp, 443, 20), .server = cut.server},
           mapping_of(other_family),
       })
    append(flows, flows_of(mapping, each, 200'000 + flows.size()));
  return flows;
}

std::vector<Flow> sorted(std::vector<Flow> flows) {
  std::ranges::sort(flows);
  return flows;
}

CutCount cut(Cutter& cutter, std::vector<Mapping> mappings, Protocols protocols = Protocols::all) {
  return cutter.cut(mappings, protocols, FlowScope::all, not_cancelled);
}

/// Runs the body for every method and family, each time in a new namespace.
void for_each_method_and_family(const std::function<void(DeleteMethod, Family)>& body) {
  for (const DeleteMethod method : methods)
    for (const Family family : both_families)
      isolated([&] {
        SCOPED_TRACE(fmt::format("{}, {}", to_text(method), family == Family::ipv4 ? "IPv4" : "IPv6"));
        body(method, family);
      });
}

double milliseconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

TEST(Cut, DeletesTenThousandFlowsAmongFiftyThousandOthersAndNoOthers) {
  for_each_method_and_family([](DeleteMethod method, Family family) {
    const auto others = neighbours(family, 10'000);
    synthesise(others);
    synthesise(flows_of(mapping_of(family), 10'000));
    Cutter cutter{method};
    EXPECT_EQ(cut(cutter, {mapping_of(family)}), (CutCount{.tcp = 10'000}));
    EXPECT_TRUE(conntrack_entries() == sorted(others));
  });
}

TEST(Cut, CountsAFewFlowsOneByOne) {
  for_each_method_and_family([](DeleteMethod method, Family family) {
    const auto others = neighbours(family, 10);
    synthesise(others);
    synthesise(flows_of(mapping_of(family), 41));
    synthesise(flows_of(mapping_of(family, Protocol::udp), 7));
    Cutter cutter{method};
    EXPECT_EQ(cut(cutter, {mapping_of(family), mapping_of(family, Protocol::udp)}), (CutCount{.tcp = 41, .udp = 7}));
    EXPECT_EQ(conntrack_entries(), sorted(others));
    EXPECT_EQ(cut(cutter, {mapping_of(family)}), CutCount{}) << "no flows remain";
  });
}

TEST(Cut, DeletesOnlyTheGivenProtocols) {
  for_each_method_and_family([](DeleteMethod method, Family family) {
    const std::vector<Mapping> all{mapping_of(family), mapping_of(family, Protocol::udp), mapping_of(family, Protocol::sctp)};
    for (const Mapping& mapping : all) synthesise(flows_of(mapping, 100));
    Cutter cutter{method};
    EXPECT_EQ(cut(cutter, all, Protocols::non_tcp), (CutCount{.udp = 100, .sctp = 100}));
    EXPECT_EQ(conntrack_entries(), sorted(flows_of(all[0], 100)));
    EXPECT_EQ(cut(cutter, all, Protocols::tcp), (CutCount{.tcp = 100}));
    EXPECT_TRUE(conntrack_entries().empty());
  });
}

TEST(Cut, DeletesFlowsOfARangeThatKeptTheirPortAndNoOthers) {
  for_each_method_and_family([](DeleteMethod method, Family family) {
    std::vector<Mapping> ranges;
    std::vector<Flow> others;
    std::map<Mapping, std::uint64_t> expected, counted;
    for (const Protocol protocol : {Protocol::tcp, Protocol::udp, Protocol::sctp}) {
      Mapping range{.vip = vip_of(family, protocol, 5000), .server = server_of(family, 11, 0)};
      range.vip.last = 9000;
      const auto flow = [&](std::uint16_t port, std::uint16_t at_server, int host, std::size_t first) {
        return flows_of({.vip = vip_of(family, protocol, port), .server = server_of(family, host, at_server)}, 3, first);
      };
      append(others, flow(4999, 4999, 11, 0));
      append(others, flow(9001, 9001, 11, 10));
      append(others, flow(6000, 6001, 11, 20)); // a flow of another service
      append(others, flow(6000, 6000, 12, 30));
      append(others, flows_of({.vip = vip_of(family, protocol, 6000, 20), .server = server_of(family, 11, 6000)}, 3, 40));
      for (const std::uint16_t port : std::initializer_list<std::uint16_t>{5000, 6000, 9000}) synthesise(flow(port, port, 11, 100U + port));
      ranges.push_back(range);
      expected[range] = 9;
    }
    synthesise(others);
    Cutter cutter{method};
    const CutCount count = cutter.cut(ranges, Protocols::all, FlowScope::all, not_cancelled,
                                      [&](const Mapping& mapping, const Deleted& deleted) { counted[mapping] += deleted.entries; });
    EXPECT_EQ(count, (CutCount{.tcp = 9, .udp = 9, .sctp = 9}));
    EXPECT_EQ(counted, expected) << "counted for the range";
    EXPECT_EQ(conntrack_entries(), sorted(others));
  });
}

TEST(Cut, NeverUsesAFilteredDeleteForARange) {
  isolated([] {
    Mapping range{.vip = vip_of(Family::ipv4, Protocol::tcp, 400), .server = server_of(Family::ipv4, 11, 0)};
    range.vip.last = 9000;
    const auto others = flows_of({.vip = vip_of(Family::ipv4, Protocol::tcp, 443), .server = server_of(Family::ipv4, 11, 8443)}, 3'000);
    synthesise(others);
    synthesise(flows_of({.vip = vip_of(Family::ipv4, Protocol::tcp, 443), .server = server_of(Family::ipv4, 11, 443)}, 6'000, 10'000));
    Cutter cutter{DeleteMethod::filtered_delete};
    EXPECT_EQ(cut(cutter, {range}), (CutCount{.tcp = 6'000}));
    EXPECT_TRUE(conntrack_entries() == sorted(others));
  });
}

TEST(Cut, ComparesPortsOfSctpThatTheKernelIgnores) {
  for_each_method_and_family([](DeleteMethod method, Family family) {
    Mapping other_port = mapping_of(family, Protocol::sctp);
    other_port.vip.port = 444;
    Mapping other_server_port = mapping_of(family, Protocol::sctp);
    other_server_port.server.port = 8444;
    auto others = flows_of(other_port, 3'000);
    append(others, flows_of(other_server_port, 3'000, 3'000));
    synthesise(others);
    synthesise(flows_of(mapping_of(family, Protocol::sctp), 3'000, 6'000));
    Cutter cutter{method};
    EXPECT_EQ(cut(cutter, {mapping_of(family, Protocol::sctp)}), (CutCount{.sctp = 3'000}));
    EXPECT_TRUE(conntrack_entries() == sorted(others));
  });
}

TEST(Cut, DistinguishesTwoServersOnOneAddressByTheirPorts) {
  for_each_method_and_family([](DeleteMethod method, Family family) {
    const Mapping dead{.vip = vip_of(family), .server = server_of(family, 11, 9001)};
    const Mapping alive{.vip = vip_of(family), .server = server_of(family, 11, 9002)};
    synthesise(flows_of(dead, 50));
    synthesise(flows_of(alive, 50, 50));
    Cutter cutter{method};
    EXPECT_EQ(cut(cutter, {dead}), (CutCount{.tcp = 50}));
    EXPECT_EQ(conntrack_entries(), sorted(flows_of(alive, 50, 50)));
  });
}

TEST(Cut, DeletesFlowsThatWereNeverTranslated) {
  for_each_method_and_family([](DeleteMethod method, Family family) {
    const Vip vip = vip_of(family, Protocol::udp);
    const Mapping translated{.vip = vip, .server = server_of(family, 11, 443)};
    synthesise(flows_of(untranslated(vip), 20));
    synthesise(flows_of(translated, 20, 20));
    Cutter cutter{method};
    EXPECT_EQ(cut(cutter, {untranslated(vip)}), (CutCount{.udp = 20}));
    EXPECT_EQ(conntrack_entries(), sorted(flows_of(translated, 20, 20)));
  });
}

TEST(Cut, DeletesFlowsOfEveryZone) {
  for_each_method_and_family([](DeleteMethod method, Family family) {
    std::vector<Flow> others;
    for (const std::uint16_t zone : {std::uint16_t{0}, std::uint16_t{5}, std::uint16_t{65535}})
      for (const bool match : {true, false}) {
        auto flows =
            flows_of(match ? mapping_of(family) : Mapping{.vip = vip_of(family), .server = server_of(family, 12)}, 30, match ? 0 : 30);
        for (Flow& flow : flows) flow.zone = zone;
        synthesise(flows);
        if (!match) append(others, flows);
      }
    Cutter cutter{method};
    EXPECT_EQ(cut(cutter, {mapping_of(family)}), (CutCount{.tcp = 90}));
    EXPECT_EQ(conntrack_entries(), sorted(others));
  });
}

TEST(Cut, IgnoresMarks) {
  for_each_method_and_family([](DeleteMethod method, Family family) {
    auto flows = flows_of(mapping_of(family), 3'000);
    for (std::uint32_t mark = 0; Flow & flow : flows) flow.mark = mark++ * 0x01010101U;
    synthesise(flows);
    Cutter cutter{method};
    EXPECT_EQ(cut(cutter, {mapping_of(family)}), (CutCount{.tcp = 3'000}));
    EXPECT_TRUE(conntrack_entries().empty());
  });
}

TEST(Cut, DeletesFiveThousandMappingsInOneCall) {
  for_each_method_and_family([](DeleteMethod method, Family family) {
    std::vector<Mapping> mappings;
    std::vector<Flow> dead;
    std::vector<Flow> others;
    for (std::uint16_t i = 0; i < 5'000; ++i) {
      const Vip vip = vip_of(family, i % 2 == 0 ? Protocol::tcp : Protocol::udp, static_cast<std::uint16_t>(10'000 + i));
      mappings.push_back({.vip = vip, .server = server_of(family, 11 + i % 7)});
      append(dead, flows_of(mappings.back(), 2, i));
      append(others, flows_of({.vip = vip, .server = server_of(family, 99)}, 2, i + std::size_t{10}));
    }
    synthesise(dead);
    synthesise(others);
    Cutter cutter{method};
    CutCount count;
    const double elapsed = milliseconds([&] { count = cut(cutter, mappings); });
    EXPECT_EQ(count, (CutCount{.tcp = 5'000, .udp = 5'000}));
    EXPECT_TRUE(conntrack_entries() == sorted(others));
    std::printf("  5,000 mappings of 7 servers, %s %s: %.1f ms\n", std::string{to_text(method)}.c_str(),
                family == Family::ipv4 ? "IPv4" : "IPv6", elapsed);
  });
}

TEST(Cut, DeletesBothFamiliesAndIgnoresDuplicateAndInvalidMappings) {
  for (const DeleteMethod method : methods)
    isolated([&] {
      SCOPED_TRACE(std::string{to_text(method)});
      const Mapping mixed{.vip = vip_of(Family::ipv4), .server = server_of(Family::ipv6, 11)};
      const Mapping no_port{.vip = vip_of(Family::ipv4, Protocol::tcp, 0), .server = server_of(Family::ipv4, 11, 0)};
      for (const Family family : both_families) synthesise(flows_of(mapping_of(family), 10));
      const auto others = neighbours(Family::ipv4, 1);
      std::vector<Flow> survivors;
      for (const Flow& flow : others)
        if (flow.client.address.family() == Family::ipv4) survivors.push_back(flow);
      synthesise(survivors);
      Cutter cutter{method};
      EXPECT_EQ(cut(cutter, {}), CutCount{});
      EXPECT_EQ(cut(cutter, {mixed, no_port}), CutCount{});
      EXPECT_EQ(conntrack_entries().size(), 20 + survivors.size());
      EXPECT_EQ(cut(cutter, {mapping_of(Family::ipv6), mixed, mapping_of(Family::ipv4), mapping_of(Family::ipv4)}), (CutCount{.tcp = 20}));
      EXPECT_EQ(conntrack_entries(), sorted(survivors));
    });
}

TEST(Cut, StopsWhenCancelledAndWorksAgainAfterwards) {
  for_each_method_and_family([](DeleteMethod method, Family family) {
    synthesise(flows_of(mapping_of(family), 30'000));
    std::atomic<bool> cancelled{false};
    int deletes = 0;
    Cutter cutter{method, [&](MessageBatch& batch) {
                    const auto& header = *reinterpret_cast<const nlmsghdr*>(batch.data());
                    const bool many = (header.nlmsg_type & 0xff) == 2 && batch.size() > 10'000;
                    if (many && ++deletes == 3) cancelled = true;
                  }};
    const std::vector<Mapping> mappings{mapping_of(family)};
    const CutCount first = cutter.cut(mappings, Protocols::all, FlowScope::all, cancelled);
    EXPECT_GT(first.tcp, 0U);
    EXPECT_LE(first.tcp, 1'000U);
    EXPECT_EQ(conntrack_entries().size(), 30'000 - first.tcp);
    EXPECT_EQ(cutter.cut(mappings, Protocols::all, FlowScope::all, cancelled), CutCount{}) << "still cancelled";
    cancelled = false;
    EXPECT_EQ(cutter.cut(mappings, Protocols::all, FlowScope::all, cancelled).tcp, 30'000 - first.tcp);
    EXPECT_TRUE(conntrack_entries().empty());
  });
}

TEST(Cut, RepeatsAnIncompleteDumpAFewTimes) {
  for_each_method_and_family([](DeleteMethod method, Family family) {
    synthesise(flows_of(mapping_of(family), 100));
    int failures = 0;
    Cutter cutter{method, [&](MessageBatch& batch) {
                    if ((reinterpret_cast<const nlmsghdr*>(batch.data())->nlmsg_type & 0xff) == 1 && failures-- > 0)
                      throw std::system_error(failures % 2 == 0 ? ENOBUFS : EINTR, std::generic_category());
                  }};
    failures = 2;
    EXPECT_EQ(cut(cutter, {mapping_of(family)}), (CutCount{.tcp = 100}));
    failures = 100;
    EXPECT_EQ(cut(cutter, {mapping_of(family)}), CutCount{}) << "no endless loop, no exception";
    EXPECT_GT(failures, 90);
  });
}

TEST(Cut, NeverDeletesANewerFlowOfTheSameClient) {
  for (const Family family : both_families)
    isolated([&] {
      ConntrackSocket socket;
      synthesise(flows_of(mapping_of(family), 10));
      EntryDeletes deletes;
      ASSERT_TRUE(socket.dump(family, {}, {}, [&](const Entry& entry) { deletes.add(entry, entry.mapping); }));
      Cutter cutter{DeleteMethod::filtered_delete}; // it has no entries of its own any more
      EXPECT_EQ(cut(cutter, {mapping_of(family)}), (CutCount{.tcp = 10}));
      const auto newer = flows_of({.vip = vip_of(family), .server = server_of(family, 12)}, 10);
      synthesise(newer);
      socket.delete_entries(deletes, [](const Mapping&, const Deleted&) { ADD_FAILURE() << "a new flow was deleted"; });
      EXPECT_EQ(conntrack_entries(), sorted(newer));
    });
}

TEST(Cut, CanDumpAgainAfterAHalfReadDump) {
  isolated([] {
    synthesise(flows_of(mapping_of(Family::ipv4), 20'000));
    ConntrackSocket socket;
    EXPECT_THROW(socket.dump(Family::ipv4, {}, {}, [](const Entry&) { throw 1; }), int);
    std::size_t seen = 0;
    EXPECT_TRUE(socket.dump(Family::ipv4, {}, {}, [&](const Entry&) { ++seen; }));
    EXPECT_EQ(seen, 20'000U);
  });
}

} // namespace
} // namespace hanat::nat
