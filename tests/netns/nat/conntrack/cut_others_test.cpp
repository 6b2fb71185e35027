// Flows that clients did not open, in the kernel: those that the server opened, and those that are related to another. They are cut,
// counted and found unexpected by every method, in both families. Not here: flows that clients opened (cut_test), real helpers and sockets
// (daemon/failover).
#include <algorithm>
#include <array>
#include <functional>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "nat/conntrack/cut.hpp"
#include "tests/netns/lab/isolated.hpp"
#include "tests/netns/lab/synth.hpp"

namespace hanat::nat {
namespace {

using test::Flow;

constexpr std::array three_protocols{Protocol::tcp, Protocol::udp, Protocol::sctp};

class CutOthers : public testing::TestWithParam<std::pair<DeleteMethod, Family>> {
protected:
  const DeleteMethod method = GetParam().first;
  const Family family = GetParam().second;
  const std::atomic<bool> cancelled{false};
  std::size_t made = 0; // every flow has a client of its own

  Endpoint server(int host, std::uint16_t port) const {
    return test::endpoint(fmt::format("{}{}", family == Family::ipv4 ? "198.19.0." : "fd00::", host), port);
  }
  Vip vip(Protocol protocol, std::uint16_t port, std::uint16_t last = 0) const {
    Vip result = test::vip(family == Family::ipv4 ? "203.0.113.10" : "2001:db8::10", port, protocol);
    result.last = last;
    return result;
  }
  Mapping mapping(Protocol protocol) const { return {vip(protocol, 443), server(11, 8443)}; }
  std::vector<Mapping> mappings() const { return {mapping(Protocol::tcp), mapping(Protocol::udp), mapping(Protocol::sctp)}; }
  std::vector<Flow> clients_of(const Mapping& of, std::size_t count) {
    made += count;
    return test::flows_of(of, count, made - count);
  }
  std::vector<Flow> pushed(const Mapping& of, std::size_t count) { return test::opened_by_server(clients_of(of, count)); }
  /// Makes them, and remembers them.
  void make(std::vector<Flow> flows, std::vector<Flow>& into) {
    test::synthesise(flows);
    into.insert(into.end(), flows.begin(), flows.end());
  }
  /// A flow to another port of the endpoint that is related to `master`.
  Flow related_to(const Flow& master, const Endpoint& at) {
    Vip vip = this->vip(master.mapping.vip.protocol, 30'000);
    Flow flow = clients_of({vip, at}, 1).front();
    flow.client.address = master.client.address;
    flow.master_from = master.client;
    flow.master_to = Endpoint{master.mapping.vip.address, master.mapping.vip.port};
    return flow;
  }
  /// Flows that no cut of mappings() may delete: each differs from them in one thing.
  std::vector<Flow> near_misses(std::size_t each) {
    std::vector<Flow> flows;
    for (const Protocol protocol : three_protocols)
      for (const Mapping& other : {Mapping{vip(protocol, 443), server(12, 8443)}, Mapping{vip(protocol, 443), server(11, 8444)},
                                   Mapping{vip(protocol, 444), server(11, 8443)}}) {
        const auto more = pushed(other, each);
        flows.insert(flows.end(), more.begin(), more.end());
      }
    return flows;
  }
  static void expect_entries(std::vector<Flow> flows) {
    std::ranges::sort(flows);
    EXPECT_EQ(test::conntrack_entries(), flows);
  }
};
INSTANTIATE_TEST_SUITE_P(
    , CutOthers,
    testing::Values(std::pair{DeleteMethod::filtered_delete, Family::ipv4}, std::pair{DeleteMethod::filtered_delete, Family::ipv6},
                    std::pair{DeleteMethod::filtered_dump, Family::ipv4}, std::pair{DeleteMethod::filtered_dump, Family::ipv6},
                    std::pair{DeleteMethod::full_dump, Family::ipv4}, std::pair{DeleteMethod::full_dump, Family::ipv6}),
    [](const auto& test) {
      std::string name;
      for (const char letter : to_text(test.param.first)) name += letter == ' ' ? '_' : letter;
      return name + (test.param.second == Family::ipv4 ? "_ipv4" : "_ipv6");
    });

TEST_P(CutOthers, FlowsThatTheServerOpenedAreCountedAndCutAndTheirNeighboursAreNot) {
  for (const std::size_t bystanders : {3U, 7'000U}) // one dump for all, or one for each kind of flow
    test::isolated([&] {
      Cutter cutter{method};
      std::vector<Flow> others, cut;
      make(near_misses(3), others);
      make(clients_of({vip(Protocol::tcp, 80), server(12, 80)}, bystanders), others);
      make(pushed({vip(Protocol::udp, 80), server(12, 80)}, bystanders * 2), others);
      for (const Mapping& of : mappings()) make(pushed(of, 5), cut);
      for (const Mapping& of : mappings()) make(clients_of(of, 2), cut);
      const auto counted = cutter.count(mappings(), cancelled);
      ASSERT_TRUE(counted);
      for (const Mapping& of : mappings()) EXPECT_EQ(counted->at(of), 7U) << to_text(of.vip);
      EXPECT_EQ(cutter.cut(mappings(), Protocols::all, FlowScope::clients, cancelled), (CutCount{.tcp = 2, .udp = 2, .sctp = 2}));
      EXPECT_EQ(cutter.cut(mappings(), Protocols::non_tcp, FlowScope::others, cancelled), (CutCount{.udp = 5, .sctp = 5}));
      EXPECT_EQ(cutter.cut(mappings(), Protocols::all, FlowScope::all, cancelled), (CutCount{.tcp = 5}));
      expect_entries(others);
    });
}

TEST_P(CutOthers, BehindAFilteredDeleteOfManyTheyAreCutToo) {
  test::isolated([&] {
    Cutter cutter{method};
    std::vector<Flow> cut;
    make(pushed(mapping(Protocol::tcp), 50), cut);
    make(clients_of(mapping(Protocol::tcp), 5'000), cut);
    make({related_to(cut.back(), server(11, 30'000))}, cut);
    EXPECT_EQ(cutter.cut(mappings(), Protocols::all, FlowScope::all, cancelled), (CutCount{.tcp = 5'051}));
    expect_entries({});
  });
}

TEST_P(CutOthers, OfARangeThoseThatKeptTheirPort) {
  test::isolated([&] {
    Cutter cutter{method};
    std::vector<Flow> others, cut;
    std::vector<Mapping> ranges;
    for (const Protocol protocol : three_protocols) {
      ranges.push_back({vip(protocol, 5'000, 9'000), server(11, 0)});
      ranges.push_back({vip(protocol, 10'000, 65'535), server(11, 0)});
      for (const std::uint16_t port : std::initializer_list<std::uint16_t>{5'000, 6'000, 9'000, 20'000})
        make(pushed({vip(protocol, port), server(11, port)}, 2), cut);
      make(pushed({vip(protocol, 9'001), server(11, 9'001)}, 2), others);
      make(pushed({vip(protocol, 6'000), server(11, 6'001)}, 2), others);
      make(pushed({vip(protocol, 6'000), server(12, 6'000)}, 2), others);
      make(pushed({vip(protocol, 40'000), server(11, 40'000)}, 2), others); // the server asks somebody
    }
    EXPECT_EQ(cutter.cut(ranges, Protocols::all, FlowScope::all, cancelled), (CutCount{.tcp = 8, .udp = 8, .sctp = 8}));
    expect_entries(others);
  });
}

TEST_P(CutOthers, TheGatewaysOwnFlowsFromAnEndpointAreNot) {
  test::isolated([&] {
    Cutter cutter{method};
    const Vip every_port = vip(Protocol::udp, 1, 65'535);
    const Endpoint own{every_port.address, 5'060};
    auto flows = test::opened_by_server(clients_of({vip(Protocol::udp, 5'060), own}, 3));
    for (Flow& flow : flows) flow.translated.reset();
    test::synthesise(flows);
    EXPECT_EQ(cutter.cut(std::vector{untranslated(every_port)}, Protocols::all, FlowScope::all, cancelled), CutCount{});
    expect_entries(flows);
  });
}

TEST_P(CutOthers, RelatedFlowsGoWithTheirMaster) {
  for (const std::size_t bystanders : {3U, 20'000U})
    test::isolated([&] {
      Cutter cutter{method};
      std::vector<Flow> others, cut;
      make(clients_of({vip(Protocol::tcp, 80), server(12, 80)}, bystanders), others);
      const auto elsewhere = clients_of({vip(Protocol::tcp, 443), server(12, 8443)}, 1);
      make(elsewhere, others);
      make({related_to(elsewhere.front(), server(12, 30'000))}, others);
      for (const Protocol protocol : {Protocol::tcp, Protocol::udp}) {
        const auto masters = clients_of(mapping(protocol), 2);
        make(masters, cut);
        make({related_to(masters[0], server(11, 30'000)), related_to(masters[1], server(11, 30'001))}, cut);
        make(test::opened_by_server({related_to(masters[1], server(11, 30'002))}), cut);
      }
      EXPECT_EQ(cutter.count(mappings(), cancelled)->at(mapping(Protocol::tcp)), 5U);
      EXPECT_EQ(cutter.cut(mappings(), Protocols::all, FlowScope::clients, cancelled).total(), 4U);
      EXPECT_EQ(cutter.cut(mappings(), Protocols::all, FlowScope::others, cancelled), (CutCount{.tcp = 3, .udp = 3}))
          << "their masters are gone already";
      expect_entries(others);
    });
}

TEST_P(CutOthers, TcpClientsOfFlowsThatTheServerOpenedLoseTheirEntryAndAreNotified) {
  test::isolated([&] {
    Cutter cutter{method};
    std::vector<Flow> clients, opened_by_the_server;
    make(clients_of(mapping(Protocol::tcp), 2), clients);
    make(pushed(mapping(Protocol::tcp), 2), opened_by_the_server);
    const auto of_clients = cutter.cut_unconnected(mappings(), FlowScope::clients, cancelled, {});
    EXPECT_EQ(of_clients.connected.size(), 2U);
    EXPECT_TRUE(of_clients.cut.empty());
    std::uint64_t deleted = 0;
    const auto others = cutter.cut_unconnected(mappings(), FlowScope::others, cancelled,
                                               [&](const Mapping&, const Deleted& what) { deleted += what.entries; });
    EXPECT_TRUE(others.connected.empty());
    ASSERT_EQ(others.cut.size(), 2U);
    EXPECT_EQ(deleted, 2U);
    for (const TcpClient& client : others.cut) {
      EXPECT_EQ(client.mapping, mapping(Protocol::tcp));
      EXPECT_EQ(client.vip, (Endpoint{vip(Protocol::tcp, 443).address, 443}));
      EXPECT_TRUE(std::ranges::any_of(opened_by_the_server, [&](const Flow& flow) { return flow.mapping.server == client.client; }));
    }
    expect_entries(clients);
  });
}

TEST_P(CutOthers, WhatTheWrongServerOpenedIsUnexpected) {
  test::isolated([&] {
    Cutter cutter{method};
    std::vector<Flow> flows;
    for (const int host : {11, 12, 13}) make(pushed({vip(Protocol::udp, 443), server(host, 8443)}, 4), flows);
    ExpectedFlows expected;
    expected.expect(vip(Protocol::udp, 443), std::array{server(11, 8443)}, std::array{server(11, 8443), server(12, 8443)});
    const nat::Flows by_server{{{vip(Protocol::udp, 443), server(12, 8443)}, 4}};
    EXPECT_EQ(cutter.unexpected(expected, cancelled), (nat::UnexpectedFlows{.all = by_server, .opened_by_server = by_server}));
    expect_entries(flows);
  });
}

} // namespace
} // namespace hanat::nat
