// The rules that tell whether clients get an answer: those that repeat a SYN are logged, and those of them that are answered at last. A SYN
// of a client that a rule, a missing route or the kernel itself drops on its way through the gateway leaves no entry in conntrack: only
// here does its repetition look different from a first one. Not here: what hanatd makes of it (daemon/decision/path_evidence).
#include "nat/nftables/ruleset_parts.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "nat/marks.hpp"
#include "nat/nftables/layout.hpp"

namespace hanat::nat {
namespace {

constexpr std::uint64_t answers_per_second = 1'000; // as many as there are clients that repeated a SYN, each once

/// The end of a rule about a SYN that a client repeats.
RuleWriter& log_waiting(RuleWriter& rule, Family family, const char* prefix) {
  return rule.limit(logged_per_second)
      .log(log_group, prefix)
      .load_saddr(family, 0)
      .load_vip_key(family, registers_of(family))
      .update_set(waiting_set(family));
}

/// Reached by repeated SYNs whose entry in conntrack has seen no reply. They do not come to the nat chains.
void write_unanswered(ChainWriter& writer) {
  writer.open("unanswered");
  for (const bool ranges : {false, true})
    for (const Family family : both_families) {
      auto rule = writer.rule("no reply to a client's SYN");
      rule.only(family).load_vip_key(family).in_set(name_of({SetKind::vips, family, ranges}));
      writer.add(log_waiting(rule, family, log_unanswered));
    }
}

/// Reached by SYN ACKs. In peace `waiting` is empty.
void write_answered(ChainWriter& writer) {
  writer.open("answered");
  for (const Family family : both_families) {
    const auto client_and_vip = [family](RuleWriter& rule) -> RuleWriter& {
      return rule.load_original_client(family, 0).load_original_vip(family, registers_of(family));
    };
    auto rule = writer.rule("a client that had repeated a SYN is answered");
    client_and_vip(rule.only(family).only_tcp()).in_set(waiting_set(family)).limit(answers_per_second).log(log_group, log_answered);
    writer.add(client_and_vip(rule).delete_from_set(waiting_set(family)));
  }
}

/// Reached by SYNs without an entry in conntrack. The limit comes before the lookup: where many connections are opened, most end there.
void write_attempts(ChainWriter& writer) {
  writer.open("attempt");
  for (const Family family : both_families) {
    auto rule = writer.rule("a repeated SYN, and the first has not left the gateway");
    rule.only(family).load_client_tuple(family).in_set(attempts_set(family));
    writer.add(log_waiting(rule, family, log_undelivered));
  }
  writer.add(writer.rule("not noted yet, or not within these seconds").limit(attempts_per_second).verdict(NFT_GOTO, "first_attempt"));
  writer.open("first_attempt");
  for (const bool ranges : {false, true})
    for (const Family family : both_families)
      writer.add(writer.rule("the first SYN of a connection")
                     .only(family)
                     .load_vip_key(family)
                     .in_set(name_of({SetKind::vips, family, ranges}))
                     .load_client_tuple(family)
                     .add_to_set(attempts_set(family)));
}

/// Reached by SYNs that have come as far as the source chain: no rule, route or filter of the gateway dropped them. Behind it conntrack
/// makes the entry, by which `unanswered` knows a repetition.
void write_delivered(ChainWriter& writer) {
  writer.open("delivered");
  for (const Family family : both_families)
    writer.add(writer.rule("leaves the gateway").only(family).only_tcp().load_original_tuple(family).delete_from_set(attempts_set(family)));
}

} // namespace

void write_evidence(ChainWriter& writer) {
  write_unanswered(writer);
  write_answered(writer);
  write_attempts(writer);
  write_delivered(writer);
}

void write_attempt(ChainWriter& writer) {
  writer.add(
      writer.rule("the SYN of a client, perhaps not its first").only_tcp().tcp_flags(opening_flags, TH_SYN).verdict(NFT_JUMP, "attempt"));
}

} // namespace hanat::nat
