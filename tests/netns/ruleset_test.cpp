// The rules against nft as the oracle: the table is written by hand as an nft script, nft compiles and loads it, and what the kernel then
// holds is compared with what hanat loads, set by set, chain by chain, expression by expression.
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

#include "nat/handles.hpp"
#include "nat/kernel.hpp"
#include "nat/layout.hpp"
#include "nat/rule_writer.hpp"
#include "tests/netns/isolated.hpp"
#include "tests/netns/process.hpp"

namespace hanat::nat {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

// nft takes a port of conntrack's, a range of masquerade and a TCP reset only where the rule says the protocol: `meta l4proto tcp` below,
// where hanat's rule does without, is such a crutch and is left out of the comparison.
constexpr const char* by_hand = R"(
table inet by_hand {
	comment "hanat layout 3"

	set known4 { type ipv4_addr . inet_proto . inet_service; comment "every virtual endpoint of hanat; without a target its packets are dropped"; }
	set known6 { type ipv6_addr . inet_proto . inet_service; comment "every virtual endpoint of hanat; without a target its packets are dropped"; }
	map target4 { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; counter; comment "virtual endpoint : server of new flows"; }
	map target6 { type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service; counter; comment "virtual endpoint : server of new flows"; }
	map refused4 { type ipv4_addr . inet_proto . inet_service : verdict; comment "no server is left: clients are answered at once"; }
	map refused6 { type ipv6_addr . inet_proto . inet_service : verdict; comment "no server is left: clients are answered at once"; }
	set stale4 { type ipv4_addr . inet_proto . inet_service . ipv4_addr . inet_service; comment "virtual endpoint . old server: clients still there are reset"; }
	set stale6 { type ipv6_addr . inet_proto . inet_service . ipv6_addr . inet_service; comment "virtual endpoint . old server: clients still there are reset"; }
	set moved4 { type ipv4_addr . inet_proto . inet_service; comment "target changed within the last minute: leftovers of cut flows are reset"; }
	set moved6 { type ipv6_addr . inet_proto . inet_service; comment "target changed within the last minute: leftovers of cut flows are reset"; }
	set hold4 { type ipv4_addr . inet_proto . inet_service . ipv4_addr . inet_service; comment "virtual endpoint . server: its refusal is kept from a client, once; another server may do"; }
	set hold6 { type ipv6_addr . inet_proto . inet_service . ipv6_addr . inet_service; comment "virtual endpoint . server: its refusal is kept from a client, once; another server may do"; }
	map armed4 { type ipv4_addr : verdict; comment "addresses with something refused, stale or moved; empty in peace"; }
	map armed6 { type ipv6_addr : verdict; comment "addresses with something refused, stale or moved; empty in peace"; }
	map masquerade4 { type ipv4_addr . inet_proto . inet_service . ipv4_addr . inet_service : verdict; comment "virtual endpoint . server: source becomes the gateway's"; }
	map masquerade6 { type ipv6_addr . inet_proto . inet_service . ipv6_addr . inet_service : verdict; comment "virtual endpoint . server: source becomes the gateway's"; }
	map source4 { type ipv4_addr . inet_proto . inet_service . ipv4_addr . inet_service : ipv4_addr; comment "virtual endpoint . server : fixed source address"; }
	map source6 { type ipv6_addr . inet_proto . inet_service . ipv6_addr . inet_service : ipv6_addr; comment "virtual endpoint . server : fixed source address"; }
	set known4_ranges { type ipv4_addr . inet_proto . inet_service; flags interval; comment "every range of ports of hanat"; }
	set known6_ranges { type ipv6_addr . inet_proto . inet_service; flags interval; comment "every range of ports of hanat"; }
	map target4_ranges { type ipv4_addr . inet_proto . inet_service : ipv4_addr; flags interval; counter; comment "range of ports : server of new flows, which keep their port"; }
	map target6_ranges { type ipv6_addr . inet_proto . inet_service : ipv6_addr; flags interval; counter; comment "range of ports : server of new flows, which keep their port"; }
	map refused4_ranges { type ipv4_addr . inet_proto . inet_service : verdict; flags interval; comment "no server is left: clients are answered at once"; }
	map refused6_ranges { type ipv6_addr . inet_proto . inet_service : verdict; flags interval; comment "no server is left: clients are answered at once"; }
	set stale4_ranges { type ipv4_addr . inet_proto . inet_service . ipv4_addr; flags interval; comment "range . old server: clients still there are reset"; }
	set stale6_ranges { type ipv6_addr . inet_proto . inet_service . ipv6_addr; flags interval; comment "range . old server: clients still there are reset"; }
	set moved4_ranges { type ipv4_addr . inet_proto . inet_service; flags interval; comment "target changed within the last minute"; }
	set moved6_ranges { type ipv6_addr . inet_proto . inet_service; flags interval; comment "target changed within the last minute"; }
	set hold4_ranges { type ipv4_addr . inet_proto . inet_service . ipv4_addr; flags interval; comment "range . server: its refusal is kept from a client, once"; }
	set hold6_ranges { type ipv6_addr . inet_proto . inet_service . ipv6_addr; flags interval; comment "range . server: its refusal is kept from a client, once"; }
	map masquerade4_ranges { type ipv4_addr . inet_proto . inet_service . ipv4_addr : verdict; flags interval; comment "range . server: source becomes the gateway's"; }
	map masquerade6_ranges { type ipv6_addr . inet_proto . inet_service . ipv6_addr : verdict; flags interval; comment "range . server: source becomes the gateway's"; }
	map source4_ranges { type ipv4_addr . inet_proto . inet_service . ipv4_addr : ipv4_addr; flags interval; comment "range . server : fixed source address"; }
	map source6_ranges { type ipv6_addr . inet_proto . inet_service . ipv6_addr : ipv6_addr; flags interval; comment "range . server : fixed source address"; }
	set alive { type inet_proto; flags timeout; timeout 3s; comment "hanatd lives; without it refusals get through"; }
	set held4 { type ipv4_addr . inet_service . ipv4_addr . inet_service; flags dynamic,timeout; timeout 10s; size 65536; comment "client . virtual endpoint: a refusal was held; the next one gets through"; }
	set held6 { type ipv6_addr . inet_service . ipv6_addr . inet_service; flags dynamic,timeout; timeout 10s; size 65536; comment "client . virtual endpoint: a refusal was held; the next one gets through"; }
	set same_way { type iface_index . iface_index; flags dynamic,timeout; timeout 1m; size 65536; comment "interface . itself: a packet that leaves as it came is known by it"; }

	chain refuse {
		meta l4proto tcp reject with tcp reset comment "TCP clients learn it at once"
		reject with icmpx port-unreachable comment "others too, as far as the kernel's ICMP rate limit goes"
	}
	chain masquerade_random {
		meta l4proto tcp masquerade to :1024-60999 fully-random comment "ports below those of hanat's probes"
	}
	chain hairpin {
		update @same_way { meta iif . meta iif } meta iif . meta oif @same_way goto masquerade_random comment "leaves as it came: the answer would not pass the gateway"
	}
	chain guard4 {
		ct direction reply return comment "answers to the gateway's own flows"
		ct state untracked return comment "nobody's flow"
		ip daddr . meta l4proto . th dport vmap @refused4 comment "no server left"
		ip daddr . meta l4proto . th dport vmap @refused4_ranges comment "no server left"
		meta nfproto ipv4 tcp flags ! syn,rst ip daddr . meta l4proto . th dport . ct reply ip saddr . ct reply proto-src @stale4 reject with tcp reset comment "flow to an old server"
		meta nfproto ipv4 tcp flags ! syn,rst ip daddr . meta l4proto . th dport . ct reply ip saddr @stale4_ranges reject with tcp reset comment "flow to an old server"
		meta nfproto ipv4 meta l4proto tcp ct state invalid tcp flags ! syn,rst ip daddr . meta l4proto . th dport @moved4 reject with tcp reset comment "leftover of a cut flow"
		meta nfproto ipv4 meta l4proto tcp ct state invalid tcp flags ! syn,rst ip daddr . meta l4proto . th dport @moved4_ranges reject with tcp reset comment "leftover of a cut flow"
	}
	chain guard6 {
		ct direction reply return comment "answers to the gateway's own flows"
		ct state untracked return comment "nobody's flow"
		ip6 daddr . meta l4proto . th dport vmap @refused6 comment "no server left"
		ip6 daddr . meta l4proto . th dport vmap @refused6_ranges comment "no server left"
		meta nfproto ipv6 tcp flags ! syn,rst ip6 daddr . meta l4proto . th dport . ct reply ip6 saddr . ct reply proto-src @stale6 reject with tcp reset comment "flow to an old server"
		meta nfproto ipv6 tcp flags ! syn,rst ip6 daddr . meta l4proto . th dport . ct reply ip6 saddr @stale6_ranges reject with tcp reset comment "flow to an old server"
		meta nfproto ipv6 meta l4proto tcp ct state invalid tcp flags ! syn,rst ip6 daddr . meta l4proto . th dport @moved6 reject with tcp reset comment "leftover of a cut flow"
		meta nfproto ipv6 meta l4proto tcp ct state invalid tcp flags ! syn,rst ip6 daddr . meta l4proto . th dport @moved6_ranges reject with tcp reset comment "leftover of a cut flow"
	}
	chain midstream {
		meta nfproto ipv4 meta l4proto tcp ip daddr . meta l4proto . th dport @known4 reject with tcp reset comment "a flow that was cut"
		meta nfproto ipv6 meta l4proto tcp ip6 daddr . meta l4proto . th dport @known6 reject with tcp reset comment "a flow that was cut"
		meta nfproto ipv4 meta l4proto tcp ip daddr . meta l4proto . th dport @known4_ranges reject with tcp reset comment "a flow that was cut"
		meta nfproto ipv6 meta l4proto tcp ip6 daddr . meta l4proto . th dport @known6_ranges reject with tcp reset comment "a flow that was cut"
	}
	chain hold {
		ct status & assured == assured return comment "its connection stood"
		meta nfproto ipv4 meta l4proto tcp ct original ip daddr . meta l4proto . ct original proto-dst @known4 limit rate 100/second burst 100 packets log prefix "hanat refused" group 18529 snaplen 128 queue-threshold 1 comment "a client is refused: hanatd asks the server at once"
		meta nfproto ipv6 meta l4proto tcp ct original ip6 daddr . meta l4proto . ct original proto-dst @known6 limit rate 100/second burst 100 packets log prefix "hanat refused" group 18529 snaplen 128 queue-threshold 1 comment "a client is refused: hanatd asks the server at once"
		meta nfproto ipv4 meta l4proto tcp ct original ip daddr . meta l4proto . ct original proto-dst @known4_ranges limit rate 100/second burst 100 packets log prefix "hanat refused" group 18529 snaplen 128 queue-threshold 1 comment "a client is refused: hanatd asks the server at once"
		meta nfproto ipv6 meta l4proto tcp ct original ip6 daddr . meta l4proto . ct original proto-dst @known6_ranges limit rate 100/second burst 100 packets log prefix "hanat refused" group 18529 snaplen 128 queue-threshold 1 comment "a client is refused: hanatd asks the server at once"
		meta nfproto ipv4 meta l4proto tcp ct original ip daddr . meta l4proto . ct original proto-dst . ip saddr . th sport @hold4 meta l4proto @alive ct original ip saddr . ct original proto-src . ct original ip daddr . ct original proto-dst != @held4 add @held4 { ct original ip saddr . ct original proto-src . ct original ip daddr . ct original proto-dst } drop comment "the refusal of a server that may be dying is kept from its client, once: the next SYN meets the next server"
		meta nfproto ipv6 meta l4proto tcp ct original ip6 daddr . meta l4proto . ct original proto-dst . ip6 saddr . th sport @hold6 meta l4proto @alive ct original ip6 saddr . ct original proto-src . ct original ip6 daddr . ct original proto-dst != @held6 add @held6 { ct original ip6 saddr . ct original proto-src . ct original ip6 daddr . ct original proto-dst } drop comment "the refusal of a server that may be dying is kept from its client, once: the next SYN meets the next server"
		meta nfproto ipv4 meta l4proto tcp ct original ip daddr . meta l4proto . ct original proto-dst . ip saddr @hold4_ranges meta l4proto @alive ct original ip saddr . ct original proto-src . ct original ip daddr . ct original proto-dst != @held4 add @held4 { ct original ip saddr . ct original proto-src . ct original ip daddr . ct original proto-dst } drop comment "the refusal of a server that may be dying is kept from its client, once: the next SYN meets the next server"
		meta nfproto ipv6 meta l4proto tcp ct original ip6 daddr . meta l4proto . ct original proto-dst . ip6 saddr @hold6_ranges meta l4proto @alive ct original ip6 saddr . ct original proto-src . ct original ip6 daddr . ct original proto-dst != @held6 add @held6 { ct original ip6 saddr . ct original proto-src . ct original ip6 daddr . ct original proto-dst } drop comment "the refusal of a server that may be dying is kept from its client, once: the next SYN meets the next server"
	}
	chain unanswered {
		ip daddr . meta l4proto . th dport @known4 limit rate 100/second burst 100 packets log prefix "hanat unanswered" group 18529 snaplen 128 queue-threshold 1 comment "a client's SYN is not answered"
		ip6 daddr . meta l4proto . th dport @known6 limit rate 100/second burst 100 packets log prefix "hanat unanswered" group 18529 snaplen 128 queue-threshold 1 comment "a client's SYN is not answered"
		ip daddr . meta l4proto . th dport @known4_ranges limit rate 100/second burst 100 packets log prefix "hanat unanswered" group 18529 snaplen 128 queue-threshold 1 comment "a client's SYN is not answered"
		ip6 daddr . meta l4proto . th dport @known6_ranges limit rate 100/second burst 100 packets log prefix "hanat unanswered" group 18529 snaplen 128 queue-threshold 1 comment "a client's SYN is not answered"
	}
	chain unreachable {
		meta nfproto ipv4 meta l4proto tcp ct original ip daddr . ct protocol . ct original proto-dst @known4 limit rate 100/second burst 100 packets log prefix "hanat unreachable" group 18529 snaplen 128 queue-threshold 1 comment "a client's server is not reached"
		meta nfproto ipv6 meta l4proto tcp ct original ip6 daddr . ct protocol . ct original proto-dst @known6 limit rate 100/second burst 100 packets log prefix "hanat unreachable" group 18529 snaplen 128 queue-threshold 1 comment "a client's server is not reached"
		meta nfproto ipv4 meta l4proto tcp ct original ip daddr . ct protocol . ct original proto-dst @known4_ranges limit rate 100/second burst 100 packets log prefix "hanat unreachable" group 18529 snaplen 128 queue-threshold 1 comment "a client's server is not reached"
		meta nfproto ipv6 meta l4proto tcp ct original ip6 daddr . ct protocol . ct original proto-dst @known6_ranges limit rate 100/second burst 100 packets log prefix "hanat unreachable" group 18529 snaplen 128 queue-threshold 1 comment "a client's server is not reached"
	}
	chain untracked_output {
		type filter hook output priority -300; policy accept;
		meta mark 0x68616e61 notrack comment "hanatd's nudges and probes"
	}
	chain guard {
		type filter hook prerouting priority -110; policy accept;
		ip daddr vmap @armed4 comment "refused, stale or moved"
		ip6 daddr vmap @armed6 comment "refused, stale or moved"
		ct state new tcp flags ! syn,rst goto midstream comment "TCP in the middle of nothing"
		tcp flags ! syn,rst accept comment "TCP under way: nothing to learn from it"
		tcp flags & (fin | syn | rst | ack) == rst | ack ct direction reply goto hold comment "a server refuses"
		tcp flags & (fin | syn | rst | ack) == syn ct status & (seen-reply | confirmed) == confirmed ct direction original goto unanswered comment "a SYN again, and no answer to the first"
		icmp type destination-unreachable ct direction reply goto unreachable comment "an error about a client's packet"
		icmpv6 type destination-unreachable ct direction reply goto unreachable comment "an error about a client's packet"
	}
	chain guard_output {
		type filter hook output priority -110; policy accept;
		ip daddr vmap @armed4 comment "refused, stale or moved"
		ip6 daddr vmap @armed6 comment "refused, stale or moved"
	}
	chain translate {
		type nat hook prerouting priority -105; policy accept;
		dnat ip to ip daddr . meta l4proto . th dport map @target4 comment "one lookup decides"
		dnat ip6 to ip6 daddr . meta l4proto . th dport map @target6 comment "one lookup decides"
		dnat ip to ip daddr . meta l4proto . th dport map @target4_ranges comment "or one more, for ranges of ports: kept"
		dnat ip6 to ip6 daddr . meta l4proto . th dport map @target6_ranges comment "or one more, for ranges of ports: kept"
		ip daddr . meta l4proto . th dport @known4 drop comment "no target yet"
		ip6 daddr . meta l4proto . th dport @known6 drop comment "no target yet"
		ip daddr . meta l4proto . th dport @known4_ranges drop comment "no target yet"
		ip6 daddr . meta l4proto . th dport @known6_ranges drop comment "no target yet"
	}
	chain translate_output {
		type nat hook output priority -105; policy accept;
		dnat ip to ip daddr . meta l4proto . th dport map @target4 comment "one lookup decides"
		dnat ip6 to ip6 daddr . meta l4proto . th dport map @target6 comment "one lookup decides"
		dnat ip to ip daddr . meta l4proto . th dport map @target4_ranges comment "or one more, for ranges of ports: kept"
		dnat ip6 to ip6 daddr . meta l4proto . th dport map @target6_ranges comment "or one more, for ranges of ports: kept"
		ip daddr . meta l4proto . th dport @known4 drop comment "no target yet"
		ip6 daddr . meta l4proto . th dport @known6 drop comment "no target yet"
		ip daddr . meta l4proto . th dport @known4_ranges drop comment "no target yet"
		ip6 daddr . meta l4proto . th dport @known6_ranges drop comment "no target yet"
	}
	chain source {
		type nat hook postrouting priority 95; policy accept;
		meta nfproto ipv4 meta l4proto tcp ct original ip daddr . meta l4proto . ct original proto-dst . ip daddr . th dport vmap @masquerade4 comment "source becomes the gateway's"
		meta nfproto ipv4 meta l4proto tcp snat ip to ct original ip daddr . meta l4proto . ct original proto-dst . ip daddr . th dport map @source4:1024-60999 fully-random comment "fixed source"
		meta nfproto ipv6 meta l4proto tcp ct original ip6 daddr . meta l4proto . ct original proto-dst . ip6 daddr . th dport vmap @masquerade6 comment "source becomes the gateway's"
		meta nfproto ipv6 meta l4proto tcp snat ip6 to ct original ip6 daddr . meta l4proto . ct original proto-dst . ip6 daddr . th dport map @source6:1024-60999 fully-random comment "fixed source"
		meta nfproto ipv4 meta l4proto tcp ct original ip daddr . meta l4proto . ct original proto-dst . ip daddr vmap @masquerade4_ranges comment "source becomes the gateway's"
		meta nfproto ipv4 meta l4proto tcp snat ip to ct original ip daddr . meta l4proto . ct original proto-dst . ip daddr map @source4_ranges:1024-60999 fully-random comment "fixed source"
		meta nfproto ipv6 meta l4proto tcp ct original ip6 daddr . meta l4proto . ct original proto-dst . ip6 daddr vmap @masquerade6_ranges comment "source becomes the gateway's"
		meta nfproto ipv6 meta l4proto tcp snat ip6 to ct original ip6 daddr . meta l4proto . ct original proto-dst . ip6 daddr map @source6_ranges:1024-60999 fully-random comment "fixed source"
	}
}
)";

/// A table as libnftnl reads it from the kernel: texts by name; a chain's rules in order.
struct TableText {
  std::map<std::string, std::string> sets, chains;
  std::map<std::string, std::vector<std::string>> rules;
};

using OnMessage = Netlink::OnMessage;
void dump(std::uint16_t type, const OnMessage& on_message) {
  Netlink netlink;
  std::array<std::uint8_t, 64> request{};
  nlmsghdr* header = mnl_nlmsg_put_header(request.data());
  header->nlmsg_type = static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type);
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  header->nlmsg_seq = netlink.next_sequence();
  static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)))->nfgen_family = NFPROTO_INET;
  netlink.exchange({request.data(), header->nlmsg_len}, header->nlmsg_seq, header->nlmsg_seq, "dump", on_message);
}

TableText read_table(const std::string& table) {
  TableText text;
  dump(NFT_MSG_GETSET, [&](const nlmsghdr& answer) {
    const auto set = made(SetPtr{nftnl_set_alloc()});
    if (nftnl_set_nlmsg_parse(&answer, set.get()) == 0 && table == nftnl_set_get_str(set.get(), NFTNL_SET_TABLE))
      text.sets[nftnl_set_get_str(set.get(), NFTNL_SET_NAME)] = describe(*set);
  });
  dump(NFT_MSG_GETCHAIN, [&](const nlmsghdr& answer) {
    const auto chain = made(ChainPtr{nftnl_chain_alloc()});
    if (nftnl_chain_nlmsg_parse(&answer, chain.get()) == 0 && table == nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_TABLE))
      text.chains[nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_NAME)] = describe(*chain);
  });
  dump(NFT_MSG_GETRULE, [&](const nlmsghdr& answer) {
    const auto rule = made(RulePtr{nftnl_rule_alloc()});
    if (nftnl_rule_nlmsg_parse(&answer, rule.get()) == 0 && table == nftnl_rule_get_str(rule.get(), NFTNL_RULE_TABLE))
      text.rules[nftnl_rule_get_str(rule.get(), NFTNL_RULE_CHAIN)].push_back(describe(*rule));
  });
  return text;
}

void replace_once(std::string& text, const std::string& what, const std::string& by) {
  const auto found = text.find(what);
  ASSERT_NE(found, std::string::npos) << what << " in " << text;
  text.replace(found, what.size(), by);
}

/// nft turns the one byte of a protocol round before it looks an interval up.
void leave_out_turning_of_one_byte(std::string& rule) {
  for (const char* number : {"2", "9"}) {
    const std::string turn = fmt::format("  [ byteorder reg {0} = hton(reg {0}, 2, 1) ]\n", number);
    if (const auto found = rule.find(turn); found != std::string::npos) rule.erase(found, turn.size());
  }
}

/// Takes nft's crutches out of the chains that have them, and gives ranges of ports the registers that hanat uses.
void normalise(TableText& text) {
  const std::string only_tcp = "  [ meta load l4proto => reg 1 ]\n  [ cmp eq reg 1 0x00000006 ]\n";
  for (const char* chain : {"midstream", "source", "masquerade_random", "unreachable"})
    for (std::string& rule : text.rules.at(chain)) replace_once(rule, only_tcp, "");
  for (auto& [chain, rules] : text.rules)
    for (std::string& rule : rules) leave_out_turning_of_one_byte(rule);
  std::string& masquerade = text.rules.at("masquerade_random").at(0);
  replace_once(masquerade, "immediate reg 2 ", "immediate reg 9 ");
  replace_once(masquerade, "proto_max reg 2 ", "proto_max reg 9 ");
  for (const std::size_t first : {0U, 4U}) {
    std::string& source4 = text.rules.at("source").at(first + 1);
    replace_once(source4, "immediate reg 2 ", "immediate reg 9 ");
    replace_once(source4, "immediate reg 3 ", "immediate reg 10 ");
    replace_once(source4, "proto_min reg 2 proto_max reg 3 ", "proto_min reg 9 proto_max reg 10 ");
    std::string& source6 = text.rules.at("source").at(first + 3);
    replace_once(source6, "immediate reg 3 ", "immediate reg 13 ");
    replace_once(source6, "proto_max reg 3 ", "proto_max reg 13 ");
  }
}

void load_with_nft(const std::string& script) {
  const test::Output loaded = test::collect({"nft", "-f", "-"}, 10s, script);
  if (loaded.exit != 0) throw std::runtime_error("nft refused the script: " + loaded.err);
}

/// Everything nft says of the sets, maps and chains of a table, without the table's name and handles.
std::map<std::string, json> objects_of(const std::string& table) {
  const test::Output listed = test::collect({"nft", "-j", "list", "table", "inet", table}, 10s);
  std::map<std::string, json> objects;
  const json answer = json::parse(listed.out);
  for (const json& entry : answer.at("nftables"))
    for (const char* kind : {"set", "map", "chain"}) {
      if (!entry.contains(kind)) continue;
      json object = entry.at(kind);
      object.erase("table");
      object.erase("handle");
      objects[std::string{kind} + " " + object.at("name").get<std::string>()] = object;
    }
  return objects;
}

TEST(Ruleset, IsWhatNftMakesOfTheSameTableWrittenByHand) {
  test::isolated([] {
    load_with_nft(by_hand);
    Kernel{"hanat", Ownership::shared}.load({});
    const TableText ours = read_table("hanat");
    TableText theirs = read_table("by_hand");
    normalise(theirs);
    EXPECT_EQ(ours.sets, theirs.sets);
    EXPECT_EQ(ours.chains, theirs.chains);
    EXPECT_EQ(ours.rules.size(), theirs.rules.size());
    for (const auto& [chain, rules] : theirs.rules) EXPECT_EQ(ours.rules.at(chain), rules) << "chain " << chain;
  });
}

TEST(Ruleset, NftSaysTheSameOfBothTablesSetsAndChains) {
  test::isolated([] {
    load_with_nft(by_hand);
    Kernel{"hanat", Ownership::shared}.load({});
    const auto ours = objects_of("hanat");
    ASSERT_EQ(ours.size(), 38U + 15U);
    EXPECT_EQ(ours, objects_of("by_hand"));
  });
}

TEST(Ruleset, DumpsFromTheKernelAsItWasWritten) {
  test::isolated([] {
    Kernel{"hanat", Ownership::shared}.load({});
    const TableText loaded = read_table("hanat");
    const Layout layout = make_layout("hanat");
    std::map<std::string, std::vector<std::string>> written;
    for (const auto& rule : layout.rules) written[nftnl_rule_get_str(rule.get(), NFTNL_RULE_CHAIN)].push_back(describe(*rule));
    EXPECT_EQ(loaded.rules, written);
    for (const auto& set : layout.sets) EXPECT_EQ(loaded.sets.at(nftnl_set_get_str(set.get(), NFTNL_SET_NAME)), describe(*set));
    for (const auto& chain : layout.chains)
      EXPECT_EQ(loaded.chains.at(nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_NAME)), describe(*chain));
  });
}

TEST(Ruleset, AnyTouchByAnotherHandIsSeen) {
  for (const char* touch :
       {"add rule inet hanat source counter", "insert rule inet hanat guard accept", "flush chain inet hanat midstream",
        "add chain inet hanat more", "add set inet hanat more { type ipv4_addr; }", "add table inet hanat { flags dormant; }",
        "add chain inet hanat guard { policy drop; }", "add element inet hanat armed4 { 203.0.113.99 : jump guard4 }"}) {
    test::isolated([touch] {
      Kernel kernel{"hanat", Ownership::shared};
      kernel.load({});
      ASSERT_TRUE(kernel.read()->in_order);
      load_with_nft(std::string{touch} + "\n");
      EXPECT_FALSE(kernel.read()->in_order) << touch;
    });
  }
}

} // namespace
} // namespace hanat::nat
