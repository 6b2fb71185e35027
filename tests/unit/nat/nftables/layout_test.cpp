// The layout against its golden file, and what must hold for any layout: the order of rules, and no set or chain without use. That the
// rules mean what they should is checked with nft (netns/nat/nftables/ruleset_test). Not here: elements (transaction_test).
#include "nat/nftables/layout.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "nat/nftables/ruleset.hpp"
#include "tests/golden/golden.hpp"
#include "tests/unit/nat/nftables/rule_text.hpp"

namespace hanat::nat {
namespace {

using Names = std::set<std::string>;
using Comments = std::vector<std::string>;

std::string chain_of(const nftnl_rule& rule) { return nftnl_rule_get_str(&rule, NFTNL_RULE_CHAIN); }

/// The comments of a chain's rules, in order.
Comments comments_in(const Layout& layout, const std::string& chain) {
  Comments comments;
  for (const auto& rule : layout.rules)
    if (chain_of(*rule) == chain) comments.push_back(test::rule_comment(*rule));
  return comments;
}

/// The names that the rules' expressions of this kind have in this attribute.
Names named_by(const Layout& layout, const std::string& kind, std::uint16_t attribute) {
  struct Search {
    std::string kind;
    std::uint16_t attribute;
    Names names;
  } search{kind, attribute, {}};
  for (const auto& rule : layout.rules)
    nftnl_expr_foreach(
        rule.get(),
        [](nftnl_expr* expression, void* data) {
          auto& [wanted, field, names] = *static_cast<Search*>(data);
          if (wanted == nftnl_expr_get_str(expression, NFTNL_EXPR_NAME) && nftnl_expr_is_set(expression, field))
            names.insert(nftnl_expr_get_str(expression, field));
          return 0;
        },
        &search);
  return search.names;
}

TEST(Layout, IsThatOfTheGoldenFile) {
  const Layout layout = make_layout("hanat", {.range_numbers = 1});
  std::string text =
      "# Sets: types are nft's numbers, 6 bits for each part of a concatenation; 4294967040 is a verdict. Flag 8: a map; 16: timeout;\n"
      "# 32: filled by packets; 132: intervals of concatenations. Chains: hook 0 prerouting, 3 output, 4 postrouting; policy 1 accept.\n"
      "# Rules: the comment, and the expressions with their registers. Registers 1, 9, 10, 11 and 2 are adjacent, as are 2 and 13 to 18.\n";
  for (const auto& set : layout.sets) text += describe(*set);
  for (const auto& chain : layout.chains) text += describe(*chain);
  std::string chain;
  for (const auto& rule : layout.rules) {
    if (chain_of(*rule) != chain) text += "\nchain " + chain_of(*rule) + ":\n";
    chain = chain_of(*rule);
    text += test::rule_text(*rule);
  }
  text += "\nwhile a service has offload = true:\n";
  const Offloading offloading = make_offloading("hanat");
  text += describe(*offloading.flowtable) + describe(*offloading.chain);
  for (const auto& rule : offloading.rules) text += test::rule_text(*rule);
  test::expect_golden("layout.txt", text);
}

TEST(Layout, RulesStandInTheOrderInWhichAPacketMeetsThem) {
  const Layout layout = make_layout("hanat");
  const auto each = [](std::initializer_list<std::pair<int, const char*>> counted) {
    Comments comments;
    for (const auto& [times, comment] : counted) comments.insert(comments.end(), static_cast<std::size_t>(times), comment);
    return comments;
  };
  EXPECT_EQ(comments_in(layout, "guard"), each({{1, "TCP without SYN or RST"},
                                                {1, "addresses of this family are in guarded, or this gateway settles"},
                                                {1, "TCP with SYN or RST"},
                                                {1, "a server refuses an association"},
                                                {2, "an ICMP error about a client's packet"}}));
  EXPECT_EQ(comments_in(layout, "opening"),
            each({{1, "a client's SYN"}, {1, "a server accepts a connection"}, {1, "a server refuses a connection"}}));
  EXPECT_EQ(comments_in(layout, "guard_output"), each({{1, "addresses of this family are in guarded, or this gateway settles"}}));
  EXPECT_EQ(comments_in(layout, "guarded"),
            each({{1, "packets that fit no flow, while this gateway of a pair is standby or settles"}, {2, "in reject, stale or recent"}}));
  EXPECT_EQ(comments_in(layout, "segment"), each({{1, "a reply, which fits its flow"},
                                                  {1, "addresses of this family are in guarded, or this gateway settles"},
                                                  {1, "mid-stream TCP that fits no flow"}}));
  for (const char* guard : {"guard4", "guard6"})
    EXPECT_EQ(comments_in(layout, guard), each({{1, "replies to the gateway's own flows"},
                                                {1, "untracked"},
                                                {1, "no server left"},
                                                {1, "flow to an old server"},
                                                {1, "SYN of a client whose old connection has an entry"},
                                                {1, "late packet of a deleted flow"},
                                                {1, "ranges of ports"}}));
  EXPECT_EQ(comments_in(layout, "hold"), each({{1, "the connection was established"},
                                               {4, "a client is refused: hanatd probes the server"},
                                               {1, "the server had accepted it"},
                                               {2, "the first refusal is held: the client's next SYN goes to the next server"},
                                               {4, "a client is refused: hanatd probes the server"},
                                               {2, "the first refusal is held: the client's next INIT goes to the next server"},
                                               {1, "ranges of ports"}}));
  EXPECT_EQ(comments_in(layout, "unreachable"), each({{4, "a server is unreachable for a client"},
                                                      {2, "the first refusal is held: the client's next packet goes to the next server"},
                                                      {1, "ranges of ports"}}));
  EXPECT_EQ(comments_in(layout, "reconnect"), each({{1, "hanatd does not run: nobody would delete the entry"},
                                                    {1, "hanatd deletes the entry"},
                                                    {1, "the client's next SYN goes to the next server"}}));
  EXPECT_EQ(comments_in(layout, "midstream"),
            each({{4, "from a client"}, {4, "from a server, and its client does not know that address"}}));
  for (const char* orphan : {"orphan4", "orphan6"})
    EXPECT_EQ(comments_in(layout, orphan),
              each({{1, "picked up, and not answered yet"}, {1, "for some seconds: nobody picks it up"}, {1, "no server would get it"}}));
  EXPECT_EQ(comments_in(layout, "dnat_output"), each({{2, "to an endpoint"}, {1, "ranges of ports"}, {2, "no target"}}));
  for (const char* chain : {chain_dnat4, chain_dnat6})
    EXPECT_EQ(comments_in(layout, chain), each({{1, "server of an endpoint"}, {1, "no target"}}));
  EXPECT_EQ(comments_in(layout, "client_syn"), each({{1, "its flow has an entry"},
                                                     {2, "a repeated SYN, and the flow of the first has no entry"},
                                                     {1, "some of the others: are they served?"}}));
  EXPECT_EQ(comments_in(layout, "repeated_syn"), each({{1, "a repeated SYN without a reply to the first"},
                                                       {1, "a repeated SYN, and the client has not acknowledged the reply to the first"}}));
  EXPECT_EQ(comments_in(layout, "dnat_prerouting"),
            each({{2, "to an endpoint"}, {1, "ranges of ports"}, {2, "no target"}, {4, "new flow of a server that lost its traffic"}}));
  EXPECT_EQ(comments_in(layout, "source"), each({{1, "picked up"}, {2, "to a server whose clients may get another source address"}}));
  for (const char* chain : {chain_source_ipv4, chain_source_ipv6})
    EXPECT_EQ(comments_in(layout, chain).size(), 12U) << chain; // of each protocol, masquerade and fixed, endpoints and ranges
}

TEST(Layout, OfWhatSettlesTheExceptionsStandBeforeServers) {
  Comments expected{"hanatd does not run: nobody would end this", "of the gateway itself"};
  expected.insert(expected.end(), 4, "from a client in the middle of its connection");
  expected.insert(expected.end(), {"a server opens a connection of its own", "replies to hanatd's probes"});
  expected.insert(expected.end(), 4, "from a server, and its client does not know that address");
  EXPECT_EQ(comments_in(make_layout("hanat"), "settle"), expected);
}

TEST(Layout, IsTheSameInEveryTable) {
  const Layout one = make_layout("hanat");
  const Layout other = make_layout("another");
  ASSERT_EQ(one.rules.size(), other.rules.size());
  for (std::size_t rule = 0; rule < one.rules.size(); ++rule) {
    EXPECT_EQ(test::rule_text(*one.rules[rule]), test::rule_text(*other.rules[rule]));
    EXPECT_STREQ(nftnl_rule_get_str(other.rules[rule].get(), NFTNL_RULE_TABLE), "another");
  }
}

TEST(Layout, RulesOfRangesComeNumberByNumber) {
  EXPECT_TRUE(comments_in(make_layout("hanat"), chain_dnat_ranges).empty());
  const Layout one = make_layout("hanat", {.range_numbers = 1}), two = make_layout("hanat", {.range_numbers = 2});
  const Layout second = make_range_layout("hanat", 2);
  const auto texts_in = [](const Layout& layout, const std::string& chain) {
    Comments texts;
    for (const auto& rule : layout.rules)
      if (chain_of(*rule) == chain) texts.push_back(test::rule_text(*rule));
    return texts;
  };
  for (const auto& [chain, rules] : std::map<const char*, std::size_t>{{chain_dnat_ranges, 2},
                                                                       {chain_guard4_ranges, 4},
                                                                       {chain_guard6_ranges, 4},
                                                                       {chain_hold_ranges, 4},
                                                                       {chain_unreachable_ranges, 2}}) {
    Comments added = texts_in(one, chain);
    EXPECT_EQ(added.size(), rules) << chain;
    std::ranges::move(texts_in(second, chain), std::back_inserter(added));
    EXPECT_EQ(texts_in(two, chain), added) << "a number that is added later gives the same layout: " << chain;
  }
  EXPECT_EQ(two.sets.size(), one.sets.size() + second.sets.size());
}

TEST(Layout, EverySetIsUsedByARuleAndEveryRuleUsesASetThatExists) {
  const Layout layout = make_layout("hanat", {.range_numbers = 1});
  Names sets;
  for (const auto& set : layout.sets) sets.insert(nftnl_set_get_str(set.get(), NFTNL_SET_NAME));
  const Names filled_by_packets = named_by(layout, "dynset", NFTNL_EXPR_DYNSET_SET_NAME);
  Names used = named_by(layout, "lookup", NFTNL_EXPR_LOOKUP_SET);
  used.insert(filled_by_packets.begin(), filled_by_packets.end());
  Layout offloading;
  offloading.rules = make_offloading("hanat").rules;
  used.merge(named_by(offloading, "lookup", NFTNL_EXPR_LOOKUP_SET));
  EXPECT_EQ(used, sets);
  EXPECT_EQ(filled_by_packets, (Names{"attempts4", "attempts6", "hairpin_ifaces", "heartbeat", "held4", "held4_other", "held6",
                                      "held6_other", "orphans4", "orphans6", "orphans_now4", "orphans_now6", "waiting4", "waiting6"}));
  for (const SetId id : set_ids()) EXPECT_TRUE(sets.contains(name_of(id))) << name_of(id);
  for (const SetId id : set_ids_of_range(1)) EXPECT_TRUE(sets.contains(name_of(id))) << name_of(id);
  for (const SetId id : set_ids_of_layout_9()) EXPECT_FALSE(sets.contains(name_of(id))) << name_of(id);
}

TEST(Layout, EveryChainIsReachedByAHookAVerdictOrAnElement) {
  const Layout layout = make_layout("hanat", {.range_numbers = 1});
  const Names by_element{chain_refuse, chain_refuse_new, chain_masquerade, chain_hairpin, chain_source_ipv4, chain_source_ipv6};
  const Names by_verdict = named_by(layout, "immediate", NFTNL_EXPR_IMM_CHAIN);
  Names chains;
  for (const auto& chain : layout.chains) {
    const std::string name = nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_NAME);
    chains.insert(name);
    EXPECT_TRUE(nftnl_chain_is_set(chain.get(), NFTNL_CHAIN_HOOKNUM) || by_element.contains(name) || by_verdict.contains(name)) << name;
    EXPECT_FALSE(comments_in(layout, name).empty()) << name;
  }
  for (const std::string& name : by_verdict) EXPECT_TRUE(chains.contains(name)) << name;
  for (const std::string& name : by_element) EXPECT_TRUE(chains.contains(name)) << name;
}

TEST(Layout, RecognisesATableOfHanatByItsComment) {
  EXPECT_EQ(table_comment(), "hanat layout 10");
  EXPECT_TRUE(is_ours(table_comment()));
  EXPECT_TRUE(is_ours("hanat layout 999"));
  for (const char* other : {"", "hanat", "hanat layout", "my hanat layout 1"}) EXPECT_FALSE(is_ours(other)) << other;
}

TEST(Layout, SourcePortsAreOnTheLargerSideOfThoseOfProbes) {
  const auto beside = [](std::uint16_t first, std::uint16_t last) {
    const SourcePorts ports = source_ports_beside({.first = first, .last = last});
    return std::pair<int, int>{ports.first, ports.last};
  };
  EXPECT_EQ(beside(61'000, 61'999), std::pair(1'024, 60'999));
  EXPECT_EQ(beside(55'536, 65'535), std::pair(1'024, 55'535));
  EXPECT_EQ(beside(20'000, 20'499), std::pair(20'500, 65'535));
  EXPECT_EQ(beside(1'024, 11'023), std::pair(11'024, 65'535));
  const auto masquerade = comments_in(make_layout("hanat", {.probe_ports = {.first = 20'000, .last = 20'499}}), chain_masquerade);
  EXPECT_EQ(masquerade.at(0), "source ports above those of hanatd's probes");
}

TEST(Layout, RepliesToUntrackedProbesHaveTheirOwnChain) {
  const UntrackedReplies replies = make_untracked_replies("hanat", {});
  EXPECT_EQ(describe(*replies.chain), "chain untracked type filter hook 0 priority -300 policy 1\n");
  EXPECT_EQ(test::rule_text(*replies.rule), R"(replies to hanatd's probes
  payload base transport offset 2 len 2 to 1
  cmp from 1 op >= data 0xee48
  cmp from 1 op <= data 0xf22f
  socket key 1 to 1
  cmp from 1 op == data 0x616e6168
  notrack
)");
}

} // namespace
} // namespace hanat::nat
