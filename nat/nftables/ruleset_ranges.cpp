// The rules for ranges of ports with one number. Each finds the range of a packet in the set of intervals with that number, which no flip
// changes, and then what changes, by address and protocol. Not here: exact endpoints (ruleset_guard, ruleset_nat).
#include "nat/nftables/ruleset_parts.hpp"

#include <cstdint>
#include <string>

#include <netinet/tcp.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "nat/nftables/layout.hpp"

namespace hanat::nat {
namespace {

SetId numbered(SetKind kind, Family family, std::uint8_t number) { return {kind, family, true, number}; }

/// A rule for packets to a range.
RuleWriter& to_range(RuleWriter& rule, Family family, std::uint8_t number) {
  return rule.load_vip_key(family).in_set(name_of(numbered(SetKind::ranges, family, number)));
}

void write_dnat_range(ChainWriter& writer, Family family, std::uint8_t number) {
  writer.open(chain_dnat_ranges);
  auto rule = writer.rule("server of a port range; the port is kept");
  to_range(rule.only(family), family, number)
      .load_range_key(family)
      .from_map(name_of(numbered(SetKind::dnat, family, number)))
      .dnat_address(family);
  writer.add(rule);
}

void write_guard_range(ChainWriter& writer, Family family, std::uint8_t number) {
  writer.open(family == Family::ipv4 ? chain_guard4_ranges : chain_guard6_ranges);
  auto refused = writer.rule("no server left");
  to_range(refused.only(family), family, number).load_range_key(family);
  writer.add(refused.in_verdict_map(name_of(numbered(SetKind::reject, family, number))));
  const auto in_stale = [=](RuleWriter& rule) -> RuleWriter& {
    to_range(rule, family, number).load_range_key(family).load_reply_address(family, registers_of(family) + 1);
    return rule.in_set(name_of(numbered(SetKind::stale, family, number)));
  };
  auto stale = writer.rule("flow to an old server");
  stale.only(family).only_tcp().no_tcp_flags(TH_SYN | TH_RST);
  writer.add(in_stale(stale).reject_with_tcp_reset());
  auto again = writer.rule("SYN of a client whose old connection has an entry");
  again.only(family).only_tcp().tcp_flags(opening_flags, TH_SYN);
  writer.add(in_stale(again).verdict(NFT_GOTO, "reconnect"));
  auto late = writer.rule("late packet of a deleted flow");
  late.only(family).only_tcp().ct_state(state_invalid | state_new).no_tcp_flags(TH_SYN | TH_RST);
  to_range(late, family, number).load_range_key(family).in_set(name_of(numbered(SetKind::recent, family, number)));
  writer.add(late.reject_with_tcp_reset());
}

void write_hold_range(ChainWriter& writer, Family family, std::uint8_t number) {
  const std::string ranges = name_of(numbered(SetKind::ranges, family, number));
  const SetId hold = numbered(SetKind::hold, family, number);
  const unsigned after_range = registers_of(family) + 1;
  writer.open(chain_hold_ranges);
  for (const Protocol protocol : {Protocol::tcp, Protocol::sctp}) {
    auto rule = writer.rule(held_comment_of(protocol));
    rule.only(family).only(protocol).load_original_vip(family).in_set(ranges);
    rule.load_original_range(family).load_reply_address(family, after_range);
    writer.add(hold_once(rule, hold, protocol == Protocol::tcp ? held_set(family) : held_other_set(family)));
  }
  writer.open(chain_unreachable_ranges);
  auto rule = writer.rule("the first refusal is held: the client's next packet goes to the next server");
  rule.only_destination_unreachable(family, true).load_original_vip_of_error(family).in_set(ranges);
  rule.load_original_range_of_error(family).load_reply_address(family, after_range);
  writer.add(hold_once(rule, hold, held_other_set(family)));
}

} // namespace

void write_range(ChainWriter& writer, std::uint8_t number) {
  for (const Family family : both_families) {
    write_dnat_range(writer, family, number);
    write_guard_range(writer, family, number);
    write_hold_range(writer, family, number);
  }
}

} // namespace hanat::nat
