// The rules that tell whether clients get an answer: those that repeat a SYN are logged, and those of them that are answered at last, and
// of all others a sample, which is looked for in conntrack a moment later (daemon/failover/client_samples). A SYN of a client that a rule,
// a missing route or the kernel itself drops on its way through the gateway leaves no entry in conntrack: only here does its repetition
// look different from a first one. One whose server has accepted it is repeated where the reply was lost, by a rule or on its way. Not
// here: whether the client waits in truth (daemon/failover/repeated_syns), what hanatd makes of it all (daemon/decision/path_evidence).
#include "nat/nftables/ruleset_parts.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_tables.h>

#include "nat/marks.hpp"
#include "nat/nftables/layout.hpp"

namespace hanat::nat {
namespace {

// The second SYN of a flow is above this rate, the first is not.
constexpr std::uint64_t attempts_per_minute = 1;
constexpr std::uint32_t attempts_burst = 1; // packets
// A client that opens thousands of connections a second uses its ports again within seconds, and each SYN of a noted port would be logged.
constexpr std::uint64_t attempts_logged_per_second = 10;
// Of all services together. One in 20 ms shows within a tenth of a second that the clients of a busy service wait; and it is all that the
// look-ups cost, however many clients there are.
constexpr std::uint64_t samples_per_second = 50;

/// Reached by SYNs whose entry in conntrack is confirmed: the first one has left the gateway.
void write_repeated_syn(ChainWriter& writer) {
  writer.open("repeated_syn");
  writer.add(writer.rule("a repeated SYN without a reply to the first")
                 .ct_status(IPS_SEEN_REPLY, 0)
                 .in_direction(IP_CT_DIR_ORIGINAL)
                 .verdict(NFT_GOTO, "unanswered"));
  writer.add(writer.rule("a repeated SYN, and the client has not acknowledged the reply to the first")
                 .ct_status(IPS_ASSURED, 0)
                 .in_direction(IP_CT_DIR_ORIGINAL)
                 .verdict(NFT_GOTO, "unacknowledged"));
}

enum class Whose : std::uint8_t { noted, forgotten };

/// A chain that logs the repeated SYNs of clients of every listener, and notes whose they were if the reply to come is news.
void write_logged(ChainWriter& writer, const char* chain, const char* comment, std::uint64_t per_second, const char* prefix,
                  Whose whose = Whose::noted) {
  writer.open(chain);
  for (const bool ranges : {false, true})
    for (const Family family : both_families) {
      auto rule = writer.rule(comment);
      rule.only(family).load_vip_key(family).in_set(name_of({SetKind::vips, family, ranges})).limit(per_second).log(log_group, prefix);
      if (whose == Whose::noted) rule.load_client_and_vip(family).update_set(waiting_set(family));
      writer.add(rule);
    }
}

/// Reached by SYN ACKs. In peace `waiting` is empty. An original address of the other family ends a rule by itself.
void write_answered(ChainWriter& writer) {
  writer.open("answered");
  for (const Family family : both_families) {
    auto rule = writer.rule("a client that had repeated a SYN is answered");
    rule.only_tcp().load_original_client_and_vip(family).in_set(waiting_set(family)).log(log_group, log_answered);
    writer.add(rule.load_original_client_and_vip(family).delete_from_set(waiting_set(family)));
  }
}

/// Reached by the SYNs of clients. One lookup notes a SYN and finds the one before it, and a full set ends the rule: on a busy gateway most
/// SYNs end here, and what they cost is not more than that.
void write_client_syn(ChainWriter& writer) {
  writer.open("client_syn");
  writer.add(writer.rule("its flow has an entry").ct_status_any(IPS_CONFIRMED).verdict(NFT_GOTO, "repeated_syn"));
  for (const Family family : both_families)
    writer.add(writer.rule("a repeated SYN, and the flow of the first has no entry")
                   .only(family)
                   .load_client_tuple(family)
                   .over_limit_in_set(attempts_set(family), attempts_per_minute, attempts_burst)
                   .verdict(NFT_GOTO, "undelivered"));
  writer.add(writer.rule("some of the others: are they served?").limit(samples_per_second).verdict(NFT_GOTO, "sample"));
}

/// The limit stands before the look-ups of endpoints, which most SYNs are spared by that.
void write_sample(ChainWriter& writer) {
  writer.open("sample");
  for (const bool ranges : {false, true})
    for (const Family family : both_families)
      writer.add(writer.rule("hanatd looks a moment later whether the client is served")
                     .only(family)
                     .load_vip_key(family)
                     .in_set(name_of({SetKind::vips, family, ranges}))
                     .log(log_group, log_sample));
}

} // namespace

void write_evidence(ChainWriter& writer) {
  write_logged(writer, "unanswered", "no reply to a client's SYN", logged_per_second, log_unanswered);
  write_repeated_syn(writer);
  write_answered(writer);
  write_client_syn(writer);
  write_sample(writer);
  write_logged(writer, "undelivered", "the first SYN has not left the gateway, unless hanatd finds the flow", attempts_logged_per_second,
               log_undelivered);
  write_logged(writer, "unacknowledged", "the reply has not reached the client, unless hanatd finds it connected",
               attempts_logged_per_second, log_unacknowledged, Whose::forgotten);
}

} // namespace hanat::nat
