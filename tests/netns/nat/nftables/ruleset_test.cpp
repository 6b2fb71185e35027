// Checks the layout with nft: a table written by hand (by_hand.nft) is compiled and loaded by nft, and compared with what hanat loads, set
// by set, chain by chain, expression by expression; and the listing of hanat's table is compared with tests/golden/table.nft. Not here:
// elements and changes (table_test).
#include <array>
#include <cstdio>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <libmnl/libmnl.h>
#include <nlohmann/json.hpp>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "nat/nftables/handles.hpp"
#include "nat/nftables/layout.hpp"
#include "nat/nftables/request.hpp"
#include "nat/nftables/rule_writer.hpp"
#include "nat/nftables/table.hpp"
#include "tests/golden/golden.hpp"
#include "tests/netns/lab/isolated.hpp"
#include "tests/netns/lab/process.hpp"
#include "tests/netns/lab/synth.hpp"

namespace hanat::nat {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

/// A table as read from the kernel: texts by name, with each chain's rules in order.
struct TableText {
  std::map<std::string, std::string> sets, chains;
  std::map<std::string, std::vector<std::string>> rules;
};

/// A set with the byte orders of its key and data, which only nft itself reads.
std::string text_of(const nftnl_set& set) {
  std::string text = describe(set);
  std::uint32_t length = 0;
  if (const void* data = nftnl_set_get_data(&set, NFTNL_SET_USERDATA, &length))
    nftnl_udata_parse(
        data, length,
        [](const nftnl_udata* one, void* out) {
          const unsigned type = nftnl_udata_type(one);
          if (type == NFTNL_UDATA_SET_KEYBYTEORDER || type == NFTNL_UDATA_SET_DATABYTEORDER)
            *static_cast<std::string*>(out) += fmt::format("{} {}\n", type, nftnl_udata_get_u32(one));
          return 0;
        },
        &text);
  return text;
}

using OnMessage = Netlink::OnMessage;
void dump(std::uint16_t type, const OnMessage& on_message) {
  Netlink netlink;
  std::array<std::uint8_t, 64> request{};
  nlmsghdr* header = put_nft_header(request, nft_type(type), NLM_F_DUMP, netlink.next_sequence());
  netlink.exchange({request.data(), header->nlmsg_len}, header->nlmsg_seq, header->nlmsg_seq, "dump", on_message);
}

TableText read_table(const std::string& table) {
  TableText text;
  dump(NFT_MSG_GETSET, [&](const nlmsghdr& reply) {
    const auto set = made(SetPtr{nftnl_set_alloc()});
    if (nftnl_set_nlmsg_parse(&reply, set.get()) == 0 && table == nftnl_set_get_str(set.get(), NFTNL_SET_TABLE))
      text.sets[nftnl_set_get_str(set.get(), NFTNL_SET_NAME)] = text_of(*set);
  });
  dump(NFT_MSG_GETCHAIN, [&](const nlmsghdr& reply) {
    const auto chain = made(ChainPtr{nftnl_chain_alloc()});
    if (nftnl_chain_nlmsg_parse(&reply, chain.get()) == 0 && table == nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_TABLE))
      text.chains[nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_NAME)] = describe(*chain);
  });
  dump(NFT_MSG_GETRULE, [&](const nlmsghdr& reply) {
    const auto rule = made(RulePtr{nftnl_rule_alloc()});
    if (nftnl_rule_nlmsg_parse(&reply, rule.get()) == 0 && table == nftnl_rule_get_str(rule.get(), NFTNL_RULE_TABLE))
      text.rules[nftnl_rule_get_str(rule.get(), NFTNL_RULE_CHAIN)].push_back(describe(*rule));
  });
  return text;
}

void replace_once(std::string& text, const std::string& from, const std::string& to) {
  const auto found = text.find(from);
  ASSERT_NE(found, std::string::npos) << from << " in " << text;
  text.replace(found, from.size(), to);
}

/// nft converts the byte order of the single byte of a protocol before it looks up an interval.
void remove_byteorder_of_one_byte(std::string& rule) {
  for (const char* number : {"2", "9"}) {
    const std::string conversion = fmt::format("  [ byteorder reg {0} = hton(reg {0}, 2, 1) ]\n", number);
    if (const auto found = rule.find(conversion); found != std::string::npos) rule.erase(found, conversion.size());
  }
}

/// Removes what only nft needs, and gives ranges of ports the registers that hanat uses.
void normalise(TableText& text) {
  for (auto& [chain, rules] : text.rules)
    for (std::string& rule : rules) remove_byteorder_of_one_byte(rule);
  for (std::string& masquerade : text.rules.at("masquerade_random")) {
    replace_once(masquerade, "immediate reg 2 ", "immediate reg 9 ");
    replace_once(masquerade, "proto_max reg 2 ", "proto_max reg 9 ");
  }
  auto& rules4 = text.rules.at(chain_source_ipv4);
  auto& rules6 = text.rules.at(chain_source_ipv6);
  for (std::size_t fixed = 1; fixed < rules4.size(); fixed += 2) {
    replace_once(rules4.at(fixed), "immediate reg 2 ", "immediate reg 9 ");
    replace_once(rules4.at(fixed), "immediate reg 3 ", "immediate reg 10 ");
    replace_once(rules4.at(fixed), "proto_min reg 2 proto_max reg 3 ", "proto_min reg 9 proto_max reg 10 ");
    replace_once(rules6.at(fixed), "immediate reg 3 ", "immediate reg 13 ");
    replace_once(rules6.at(fixed), "proto_max reg 3 ", "proto_max reg 13 ");
  }
}

void load_with_nft(const std::string& script) {
  const test::Output loaded = test::collect({"nft", "-f", "-"}, 10s, script);
  if (loaded.exit != 0) throw std::runtime_error("nft refused the script: " + loaded.err);
}

/// The sets, maps and chains of a table as nft lists them, without the table's name, handles and elements.
std::map<std::string, json> objects_of(const std::string& table) {
  const test::Output listed = test::collect({"nft", "-j", "list", "table", "inet", table}, 10s);
  std::map<std::string, json> objects;
  const json reply = json::parse(listed.out);
  for (const json& entry : reply.at("nftables"))
    for (const char* kind : {"set", "map", "chain"}) {
      if (!entry.contains(kind)) continue;
      json object = entry.at(kind);
      object.erase("table");
      object.erase("handle");
      object.erase("elem");
      objects[std::string{kind} + " " + object.at("name").get<std::string>()] = object;
    }
  return objects;
}

/// Four services per family, so that every set that a TableState fills has an element.
TableState example_services() {
  TableState state;
  for (const bool six : {false, true}) {
    const Vip web = test::vip(six ? "2001:db8::10" : "203.0.113.10", 443, Protocol::tcp);
    const Vip dns = test::vip(six ? "2001:db8::11" : "203.0.113.11", 53, Protocol::udp);
    Vip sip = test::vip(six ? "2001:db8::12" : "203.0.113.12", 5060, Protocol::udp);
    sip.last = 5090;
    Vip ftp = test::vip(six ? "2001:db8::13" : "203.0.113.13", 20, Protocol::tcp);
    ftp.last = 21;
    const Endpoint primary = test::endpoint(six ? "fd00:1::2" : "198.18.1.2", 8443);
    const Endpoint backup = test::endpoint(six ? "fd00:2::2" : "198.18.2.2", 8443);
    const Endpoint sip_primary{.address = primary.address}, sip_backup{.address = backup.address};
    for (const auto& [vip, name] : std::map<Vip, std::string>{{web, "web"}, {dns, "dns"}, {sip, "sip"}, {ftp, "ftp"}})
      state.vips[vip] = name;
    state.dnat[web] = {primary, "web primary"};
    state.dnat[sip] = {sip_primary, "sip primary"};
    state.reject[dns] = {Refusal::reject, "dns"};
    state.reject[ftp] = {Refusal::drop, "ftp"};
    state.stale[{web, backup}] = "web backup";
    state.stale[{sip, sip_backup}] = "sip backup";
    state.recent[web] = "web";
    state.recent[sip] = "sip";
    state.hold[{web, primary}] = "web primary";
    state.hold[{sip, sip_primary}] = "sip primary";
    state.snat[{web, primary}] = {{SnatKind::masquerade, {}}, "web primary"};
    state.snat[{web, backup}] = {{SnatKind::address, primary.address}, "web backup"};
    state.snat[{sip, sip_primary}] = {{SnatKind::hairpin, {}}, "sip primary"};
    state.snat[{sip, sip_backup}] = {{SnatKind::address, primary.address}, "sip backup"};
  }
  return state;
}

/// Two ranges of one address, which have the numbers 1 and 2.
TableState two_ranges() {
  TableState state;
  for (const std::uint16_t first : {std::uint16_t{2'000}, std::uint16_t{20'000}}) {
    Vip range = test::vip("203.0.113.10", first, Protocol::tcp);
    range.last = static_cast<std::uint16_t>(first + 9'999);
    state.vips[range] = "ftp";
  }
  return state;
}

/// An endpoint and a range per family.
EndpointMap example_endpoints() {
  EndpointMap endpoints;
  for (const char* server : {"198.18.2.2", "fd00:2::2"}) {
    endpoints[test::vip(server, 8443, Protocol::tcp)] = "web backup";
    Vip range = test::vip(server, 5060, Protocol::tcp);
    range.last = 6090;
    endpoints[range] = "sip backup";
  }
  return endpoints;
}

TEST(Ruleset, NftListsTheTableOfTheGoldenFile) {
  test::isolated([] {
    NftTable table{"hanat", Ownership::shared};
    table.load(example_services());
    for (const SetKind kind : endpoint_sets) table.set_endpoints(kind, example_endpoints());
    table.set_notrack(true);
    const test::Output listed = test::collect({"nft", "list", "table", "inet", "hanat"}, 10s);
    ASSERT_EQ(listed.exit, 0) << listed.err;
    SCOPED_TRACE("the golden file is from nft 1.0.6, this is " + test::collect({"nft", "--version"}, 10s).out);
    test::expect_golden("table.nft", listed.out);
  });
}

/// What an operator saves has to load, or nothing of the whole file does. Then it lists the same, and hanatd reads its elements.
TEST(Ruleset, NftLoadsTheListingOfTheTable) {
  test::isolated([] {
    const auto listing = [] { return test::collect({"nft", "list", "table", "inet", "hanat"}, 10s).out; };
    NftTable table{"hanat", Ownership::shared};
    table.load(example_services());
    for (const SetKind kind : endpoint_sets) table.set_endpoints(kind, example_endpoints());
    table.set_notrack(true);
    const std::string saved = listing();
    load_with_nft("delete table inet hanat\n" + saved);
    EXPECT_EQ(listing(), saved);
    const auto loaded = NftTable{"hanat", Ownership::shared}.read();
    ASSERT_TRUE(loaded);
    EXPECT_EQ(loaded->state, example_services());
  });
}

TEST(Ruleset, EqualsWhatNftCompilesFromTheTableWrittenByHand) {
  test::isolated([] {
    load_with_nft(test::source_file("tests/netns/nat/nftables/by_hand.nft"));
    NftTable{"hanat", Ownership::shared}.load(two_ranges());
    const TableText ours = read_table("hanat");
    TableText theirs = read_table("by_hand");
    normalise(theirs);
    EXPECT_EQ(ours.sets, theirs.sets);
    EXPECT_EQ(ours.chains, theirs.chains);
    EXPECT_EQ(ours.rules.size(), theirs.rules.size());
    for (const auto& [chain, rules] : theirs.rules) EXPECT_EQ(ours.rules.at(chain), rules) << "chain " << chain;
  });
}

TEST(Ruleset, NftListsTheSameSetsAndChainsForBothTables) {
  test::isolated([] {
    load_with_nft(test::source_file("tests/netns/nat/nftables/by_hand.nft"));
    NftTable{"hanat", Ownership::shared}.load(two_ranges());
    const auto ours = objects_of("hanat");
    ASSERT_EQ(ours.size(), 56U + 2 * 12U + 39U);
    EXPECT_EQ(ours, objects_of("by_hand"));
  });
}

TEST(Ruleset, FollowsTheSysctlThatSaysWhetherConntrackPicksUpWhatItDoesNotKnow) {
  test::isolated([] {
    const auto be_loose = [](bool loose) { std::ofstream{"/proc/sys/net/netfilter/nf_conntrack_tcp_loose"} << loose; };
    const auto rules_about_servers = [] { return read_table("hanat").rules["midstream"].size(); };
    NftTable table{"hanat", Ownership::shared};
    table.load({});
    EXPECT_EQ(rules_about_servers(), 8U);
    EXPECT_FALSE(table.missed_a_commit());
    be_loose(false);
    EXPECT_TRUE(table.missed_a_commit());
    EXPECT_FALSE(table.read()->in_order);
    table.load({});
    EXPECT_EQ(rules_about_servers(), 4U);
    EXPECT_TRUE(table.read()->in_order);
    EXPECT_FALSE(table.missed_a_commit());
    be_loose(true);
    EXPECT_TRUE(table.missed_a_commit());
  });
}

TEST(Ruleset, IsDumpedByTheKernelAsItWasWritten) {
  test::isolated([] {
    NftTable{"hanat", Ownership::shared}.load(two_ranges());
    const TableText loaded = read_table("hanat");
    const Layout layout = make_layout("hanat", {.range_numbers = 2});
    std::map<std::string, std::vector<std::string>> written;
    for (const auto& rule : layout.rules) written[nftnl_rule_get_str(rule.get(), NFTNL_RULE_CHAIN)].push_back(describe(*rule));
    EXPECT_EQ(loaded.rules, written);
    for (const auto& set : layout.sets) EXPECT_EQ(loaded.sets.at(nftnl_set_get_str(set.get(), NFTNL_SET_NAME)), text_of(*set));
    for (const auto& chain : layout.chains)
      EXPECT_EQ(loaded.chains.at(nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_NAME)), describe(*chain));
  });
}

TEST(Ruleset, AnyChangeByOthersIsDetected) {
  for (const char* change :
       {"add rule inet hanat source counter", "insert rule inet hanat guard accept", "flush chain inet hanat midstream",
        "add chain inet hanat more", "add set inet hanat more { type ipv4_addr; }", "add table inet hanat { flags dormant; }",
        "add chain inet hanat guard { policy drop; }", "add element inet hanat guarded4 { 203.0.113.99 }"}) {
    test::isolated([change] {
      NftTable table{"hanat", Ownership::shared};
      table.load({});
      ASSERT_TRUE(table.read()->in_order);
      load_with_nft(std::string{change} + "\n");
      EXPECT_FALSE(table.read()->in_order) << change;
    });
  }
}

} // namespace
} // namespace hanat::nat
