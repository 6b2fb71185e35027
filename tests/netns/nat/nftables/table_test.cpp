// The table in the kernel: any state that is loaded reads back equal, any change gives the intended state, and a refused change leaves
// everything as it was. nft lists the result independently.
// Not here: the fixed rules (ruleset_test), other users of nf_tables (table_watch_test), traffic (daemon/failover).
#include "nat/nftables/table.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <random>
#include <string>
#include <system_error>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <libmnl/libmnl.h>
#include <nlohmann/json.hpp>

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "nat/nftables/request.hpp"
#include "tests/netns/lab/isolated.hpp"
#include "tests/netns/nat/nftables/table_kit.hpp"

namespace hanat::nat {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using test::endpoint;
using test::vip;

/// Which number a range has depends on what was there when it came.
bool is_of_a_range(const json& object) {
  const std::string name = object.value("chain", object.value("name", ""));
  return name.ends_with("_ranges") ? object.contains("chain") : name.find("_range") != name.npos || name.starts_with("ranges");
}

/// All objects of a table as nft lists them, but for those of ranges, with sorted elements and without the table's name and handles.
json listed_by_nft(const std::string& table) {
  json reply = json::parse(test::collect({"nft", "-j", "list", "table", "inet", table}, 30s).out).at("nftables");
  json objects = json::array();
  for (json& entry : reply)
    for (auto& [kind, object] : entry.items()) {
      if (kind == "metainfo" || kind == "table") continue;
      object.erase("table");
      object.erase("handle");
      if (is_of_a_range(object)) continue;
      if (object.contains("elem")) std::sort(object["elem"].begin(), object["elem"].end());
      objects.push_back(object);
    }
  return objects;
}

/// A state with entries of every kind, from so few addresses and ports that many of them share something.
TableState random_state(std::mt19937& random) {
  const auto pick = [&](int number) { return std::uniform_int_distribution{0, number - 1}(random); };
  const auto comment = [&] { return std::string(static_cast<std::size_t>(1 + pick(3) * pick(50)), static_cast<char>('a' + pick(26))); };
  TableState state;
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    const bool four = family == Family::ipv4;
    const auto endpoint_of = [&](bool with_port) {
      return endpoint(fmt::format("{}{}", four ? "198.18.1." : "fd00:1::", 1 + pick(3)),
                      static_cast<std::uint16_t>(with_port ? 1 + pick(3) * 32'000 : 0));
    };
    for (int host = 1; host <= 3; ++host)
      for (const Protocol protocol : {Protocol::tcp, Protocol::udp, Protocol::sctp})
        for (const auto& [port, last] : std::initializer_list<std::pair<std::uint16_t, std::uint16_t>>{
                 {1, 0}, {2, 442}, {443, 0}, {444, 60'000}, {60'001, 65'534}, {65'535, 0}}) {
          Vip listen = vip(fmt::format("{}{}", four ? "203.0.113." : "2001:db8::", host), port, protocol);
          listen.last = last;
          const auto server = [&] { return endpoint_of(listen.last == 0); };
          if (pick(4) == 0) state.vips[listen] = comment();
          if (pick(4) == 0) state.dnat[listen] = {server(), comment()};
          if (pick(8) == 0)
            state.reject[listen] = {std::array{Refusal::reject, Refusal::drop, Refusal::reject_new}[static_cast<std::size_t>(pick(3))],
                                    comment()};
          if (pick(8) == 0) state.recent[listen] = comment();
          if (pick(4) == 0) state.hold[{listen, server()}] = comment();
          for (int times = pick(3); times > 0; --times) state.stale[{listen, server()}] = comment();
          for (int times = pick(3); times > 0; --times) {
            const std::array kinds{Snat{SnatKind::masquerade, {}}, Snat{SnatKind::hairpin, {}}, Snat{SnatKind::address, server().address}};
            state.snat[{listen, server()}] = {kinds[static_cast<std::size_t>(pick(3))], comment()};
          }
        }
  }
  return state;
}

TEST(NftTable, ExistsOnlyBetweenLoadAndRemove) {
  test::isolated([] {
    NftTable table{"hanat"};
    EXPECT_FALSE(table.read());
    table.remove();
    table.load({});
    const auto loaded = table.read();
    ASSERT_TRUE(loaded);
    EXPECT_TRUE(loaded->in_order);
    EXPECT_TRUE(loaded->state.empty());
    table.remove();
    EXPECT_FALSE(table.read());
  });
}

TEST(NftTable, ReadsBackEqualToWhatWasLoaded) {
  test::isolated([] {
    for (unsigned seed = 0; seed < 40; ++seed) {
      std::mt19937 random{seed};
      const TableState state = random_state(random);
      NftTable table = shared_table();
      table.load(state);
      const auto loaded = table.read();
      ASSERT_TRUE(loaded);
      ASSERT_TRUE(loaded->state == state) << "seed " << seed;
      ASSERT_TRUE(loaded->in_order) << "seed " << seed;
    }
  });
}

TEST(NftTable, AChangeGivesTheSameTableAsALoad) {
  test::isolated([] {
    NftTable table = shared_table();
    table.load({});
    NftTable fresh = shared_table("fresh");
    TableState from;
    for (unsigned seed = 0; seed < 40; ++seed) {
      std::mt19937 random{1'000 + seed};
      const TableState to = seed % 10 == 9 ? TableState{} : random_state(random);
      table.change(from, to);
      const auto loaded = table.read();
      ASSERT_TRUE(loaded && loaded->in_order) << "seed " << seed;
      ASSERT_TRUE(loaded->state == to) << "seed " << seed;
      if (seed % 4 == 0) {
        fresh.load(to);
        ASSERT_TRUE(listed_by_nft("hanat") == listed_by_nft("fresh")) << "seed " << seed;
      }
      from = to;
    }
  });
}

/// The part of a state that belongs to one of two services, which have different ports.
TableState share_of(const TableState& state, bool first) {
  TableState share = state;
  const auto erase_other = [first](auto& map) {
    using std::erase_if;
    erase_if(map, [first](const auto& entry) { return (vip_of(entry.first).port == 443) != first; });
  };
  for_each_set(erase_other, share);
  return share;
}

TEST(NftTable, ServicesThatShareAddressesChangeIndependently) {
  test::isolated([] {
    NftTable table = shared_table();
    table.load({});
    NftTable fresh = shared_table("fresh");
    std::array<TableState, 2> loaded_state;
    for (unsigned seed = 0; seed < 60; ++seed) {
      std::mt19937 random{2'000 + seed};
      const bool first = seed % 2 == 0;
      const TableState to = seed % 7 == 6 ? TableState{} : share_of(random_state(random), first);
      table.change(loaded_state[first], to);
      loaded_state[first] = to;
      const auto loaded = table.read();
      ASSERT_TRUE(loaded && loaded->in_order) << "seed " << seed << ": exactly the addresses in reject, stale or recent must be guarded";
      ASSERT_TRUE(share_of(loaded->state, true) == loaded_state[1] && share_of(loaded->state, false) == loaded_state[0]) << "seed " << seed;
    }
  });
}

/// Ranges of one address and protocol, which go to `server`.
TableState ranges(std::uint16_t number, const char* server) {
  TableState state;
  for (std::uint16_t index = 0; index < number; ++index) {
    Vip range = vip("203.0.113.10", static_cast<std::uint16_t>(1 + index * 1'900), Protocol::udp);
    range.last = static_cast<std::uint16_t>(range.port + 1'899);
    state.vips[range] = "rtp";
    state.dnat[range] = {endpoint(server, 0), "rtp primary"};
  }
  return state;
}

TEST(NftTable, GetsSetsAndRulesForAnotherRangeOfAnAddress) {
  test::isolated([] {
    const auto rules_in = [](const char* chain) {
      const std::string listed = test::collect({"nft", "list", "chain", "inet", "hanat", chain}, 10s).out;
      std::size_t rules = 0;
      for (std::size_t at = listed.find(" comment "); at != listed.npos; at = listed.find(" comment ", at + 1)) ++rules;
      return rules;
    };
    NftTable table = shared_table();
    table.load({});
    EXPECT_EQ(rules_in("dnat_ranges"), 0U) << "who has no ranges pays for none";
    TableState from;
    for (const std::uint16_t number : std::array<std::uint16_t, 5>{1, 3, 3, 2, 32}) {
      const TableState to = ranges(number, number == 3 ? "198.18.2.2" : "198.18.1.2");
      table.change(from, to);
      const auto loaded = table.read();
      ASSERT_TRUE(loaded && loaded->in_order) << number << " ranges";
      ASSERT_TRUE(loaded->state == to) << number << " ranges";
      from = to;
    }
    EXPECT_EQ(rules_in("dnat_ranges"), 2 * 32U);
    NftTable next = shared_table();
    ASSERT_TRUE(next.read()->in_order);
    next.adopt(from);
    const TableState flipped = ranges(33, "198.18.2.2");
    next.change(from, flipped);
    const auto loaded = next.read();
    EXPECT_TRUE(loaded->in_order);
    EXPECT_TRUE(loaded->state == flipped);
    next.load({});
    EXPECT_EQ(rules_in("dnat_ranges"), 0U);
    EXPECT_TRUE(next.read()->in_order);
  });
}

TEST(NftTable, CanBeChangedAfterAdoption) {
  test::isolated([] {
    std::mt19937 random{7};
    const TableState from = random_state(random);
    const TableState to = random_state(random);
    shared_table().load(from);
    NftTable next = shared_table(); // after a restart of hanatd
    const auto found = next.read();
    ASSERT_TRUE(found && found->in_order);
    next.adopt(found->state);
    next.change(from, to);
    const auto loaded = next.read();
    EXPECT_TRUE(loaded->state == to);
    EXPECT_TRUE(loaded->in_order);
  });
}

TEST(NftTable, ARefusedChangeLeavesEverythingAsItWas) {
  test::isolated([] {
    std::mt19937 random{11};
    TableState loaded = random_state(random);
    const Vip unknown_vip = vip("203.0.113.77", 80, Protocol::tcp);
    NftTable table = shared_table();
    table.load(loaded);
    const json before = listed_by_nft("hanat");

    TableState wrong = loaded; // with an element that is not loaded
    wrong.dnat[unknown_vip] = {endpoint("198.18.1.1", 80), "unknown"};
    TableState wanted = random_state(random);
    wanted.recent[unknown_vip] = "unknown";
    EXPECT_EQ(error_of([&] { table.change(wrong, wanted); }), ENOENT);
    EXPECT_TRUE(listed_by_nft("hanat") == before);

    wrong = loaded; // without an element that is loaded
    const auto unknown = wrong.dnat.extract(wrong.dnat.begin());
    wanted = wrong;
    wanted.vips[unknown_vip] = "unknown";
    wanted.dnat[unknown.key()] = {endpoint(unknown.key().address.family() == Family::ipv4 ? "198.18.9.9" : "fd00:9::9", 9), "other"};
    EXPECT_NE(error_of([&] { table.change(wrong, wanted); }), 0);
    EXPECT_TRUE(listed_by_nft("hanat") == before);

    wanted = random_state(random);
    table.change(loaded, wanted); // the refused changes have left nothing behind
    const auto now = table.read();
    EXPECT_TRUE(now->state == wanted);
    EXPECT_TRUE(now->in_order);
  });
}

TEST(NftTable, AChangeOfADeletedTableFails) {
  test::isolated([] {
    NftTable table = shared_table();
    table.load({});
    ASSERT_EQ(nft("delete table inet hanat").exit, 0);
    EXPECT_EQ(error_of([&] { table.change({}, services(1, "198.18.1.2")); }), ENOENT);
    EXPECT_FALSE(table.read());
  });
}

TEST(NftTable, TenThousandServicesLoadAndHalfOfThemFlipInOneTransaction) {
  test::isolated([] {
    NftTable table = shared_table();
    const TableState many = services(10'000, "198.18.1.2");
    table.load(many);
    EXPECT_TRUE(table.read()->state == many);
    for (const json& object : listed_by_nft("hanat"))
      if (object.value("name", "") == "vips4" || object.value("name", "") == "dnat4") {
        EXPECT_EQ(object.at("elem").size(), 10'000U);
      }

    TableState flipped = many;
    for (auto& [listen, target] : services(5'000, "198.18.2.2").dnat) {
      flipped.stale[{listen, flipped.dnat.at(listen).server}] = flipped.dnat.at(listen).comment;
      flipped.recent[listen] = flipped.vips.at(listen);
      flipped.dnat[listen] = {target.server, "backup"};
    }
    Netlink watch{std::size_t{64} << 20, 1U << (NFNLGRP_NFTABLES - 1)};
    table.change(many, flipped);
    unsigned commits = 0;
    EXPECT_TRUE(watch.drain([&](const nlmsghdr& message) { commits += message.nlmsg_type == nft_type(NFT_MSG_NEWGEN); }));
    EXPECT_EQ(commits, 1U);
    const auto loaded = table.read();
    EXPECT_TRUE(loaded->state == flipped);
    EXPECT_TRUE(loaded->in_order);
  });
}

TEST(NftTable, AVerdictThatHanatWouldNotWriteIsDetected) {
  const Vip shop = vip("203.0.113.11", 80, Protocol::tcp);
  const Mapping web{vip("203.0.113.10", 443, Protocol::tcp), endpoint("198.18.1.2", 8443)};
  for (const auto& [map, key, verdict] :
       {std::array{"reject4", "203.0.113.11 . tcp . 80", "accept"}, std::array{"reject4", "203.0.113.11 . tcp . 80", "goto midstream"},
        std::array{"masquerade4", "203.0.113.10 . tcp . 443 . 198.18.1.2 . 8443", "drop"}}) {
    test::isolated([&, map = map, key = key, verdict = verdict] {
      TableState state;
      state.reject[shop] = {Refusal::reject, "shop"};
      state.snat[web] = {{SnatKind::masquerade, {}}, "web primary"};
      NftTable table = shared_table();
      table.load(state);
      ASSERT_TRUE(table.read()->in_order);
      const test::Output edited = nft(fmt::format(
          "delete element inet hanat {0} {{ {1} }}\nadd element inet hanat {0} {{ {1} comment \"shop\" : {2} }}", map, key, verdict));
      ASSERT_EQ(edited.exit, 0) << edited.err;
      EXPECT_FALSE(table.read()->in_order) << map << " " << verdict;
    });
  }
}

} // namespace
} // namespace hanat::nat
