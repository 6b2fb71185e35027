// Rules, chain by chain.
#include "nat/layout_rules.hpp"

#include <utility>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_tables.h>

#include "nat/layout.hpp"
#include "nat/rule_writer.hpp"

namespace hanat::nat {
namespace {

// Translated sources stay below the probes' own source ports (61000-61999) and above the privileged ones. They are fully random: after a
// cut, a port kept for the next client would hand it a late answer meant for the last one.
constexpr std::uint16_t source_first = 1024;
constexpr std::uint16_t source_last = probe_port_first - 1;

constexpr std::uint64_t logged_a_second = 100; // one is enough to ask the server; more only show how many clients are concerned

// Bits of `ct state` as nf_tables has them: 1 << (ctinfo + 1), invalid is bit 0.
constexpr std::uint32_t state_invalid = 1U << 0;
constexpr std::uint32_t state_new = 1U << (IP_CT_NEW + 1);
constexpr std::uint32_t state_untracked = 1U << 6;

/// Fills one chain after the other.
class Writer {
public:
  explicit Writer(const std::string& table) : table_(table) {}
  RuleWriter rule(const std::string& comment) { return {table_, chain_, comment}; }
  void add(RuleWriter& writer) { rules_.push_back(writer.take()); }
  void open(const std::string& chain) { chain_ = chain; }
  std::vector<RulePtr> take() { return std::move(rules_); }

private:
  const std::string& table_;
  std::string chain_;
  std::vector<RulePtr> rules_;
};

void write_refuse(Writer& writer) {
  writer.open(chain_refuse);
  writer.add(writer.rule("TCP clients learn it at once").only_tcp().reject_with_tcp_reset());
  writer.add(writer.rule("others too, as far as the kernel's ICMP rate limit goes").reject_port_unreachable());
}

/// Reached only for addresses in `armed`. Replies of a server on the gateway's own address are not a client's packets, nor are answers to
/// the gateway's own untracked questions: a range may have the ports of both. Ranges come behind exact endpoints everywhere.
void write_armed_guard(Writer& writer, Family family) {
  writer.open(family == Family::ipv4 ? chain_guard4 : chain_guard6);
  writer.add(writer.rule("answers to the gateway's own flows").in_reply_direction().verdict(NFT_RETURN));
  writer.add(writer.rule("nobody's flow").ct_state(state_untracked).verdict(NFT_RETURN));
  for (const bool ranges : {false, true})
    writer.add(writer.rule("no server left").only(family).load_vip_key(family).in_verdict_map(name_of({SetKind::refused, family, ranges})));
  // A SYN is left alone: it opens a new connection, or its flow is cut within a second and its next try meets the new target.
  for (const bool ranges : {false, true}) {
    const unsigned behind_vip = words_of(family) + 2;
    auto rule = writer.rule("flow to an old server");
    rule.only(family).only_tcp().no_tcp_flags(TH_SYN | TH_RST).load_vip_key(family);
    if (ranges)
      rule.load_reply_address(family, behind_vip);
    else
      rule.load_reply_source(family, behind_vip);
    writer.add(rule.in_set(name_of({SetKind::stale, family, ranges})).reject_with_tcp_reset());
  }
  // Never for every VIP: one stray segment out of the window is invalid too, and a reset of ours would kill its healthy connection.
  for (const bool ranges : {false, true})
    writer.add(writer.rule("leftover of a cut flow")
                   .only(family)
                   .only_tcp()
                   .ct_state(state_invalid)
                   .no_tcp_flags(TH_SYN | TH_RST)
                   .load_vip_key(family)
                   .in_set(name_of({SetKind::moved, family, ranges}))
                   .reject_with_tcp_reset());
}

void write_midstream(Writer& writer) {
  writer.open("midstream");
  for (const bool ranges : {false, true})
    for (const Family family : families)
      writer.add(writer.rule("a flow that was cut")
                     .only(family)
                     .load_vip_key(family)
                     .in_set(name_of({SetKind::known, family, ranges}))
                     .reject_with_tcp_reset());
}

/// Reached by what resets a client's SYN (RST and ACK; whatever answers a packet in the middle of a flow carries no ACK).
void write_hold(Writer& writer) {
  writer.open("hold");
  writer.add(writer.rule("its connection stood").ct_status(IPS_ASSURED, IPS_ASSURED).verdict(NFT_RETURN));
  for (const bool ranges : {false, true})
    for (const Family family : families)
      writer.add(writer.rule("a client is refused: hanatd asks the server at once")
                     .only(family)
                     .only_tcp()
                     .load_original_vip(family)
                     .in_set(name_of({SetKind::known, family, ranges}))
                     .limit(logged_a_second)
                     .log(log_group, log_refused));
  // The flow is known by its original tuple: behind a fully random source port every retry of a client would look like another flow, and be
  // held again; and held_in() reads there whom to nudge. `add` stands before `drop`: when the set is full, refusals get through.
  for (const bool ranges : {false, true})
    for (const Family family : families) {
      const unsigned behind_vip = words_of(family) + 2;
      auto rule =
          writer.rule("the refusal of a server that may be dying is kept from its client, once: the next SYN meets the next server");
      rule.only(family).only_tcp().load_original_vip(family);
      if (ranges)
        rule.load_saddr(family, behind_vip);
      else
        rule.load_sender(family, behind_vip);
      writer.add(rule.in_set(name_of({SetKind::hold, family, ranges}))
                     .load_protocol(0)
                     .in_set(set_alive)
                     .load_original_tuple(family)
                     .not_in_set(held_set(family))
                     .load_original_tuple(family)
                     .add_to_set(held_set(family))
                     .verdict(NF_DROP));
    }
}

/// What a client's second SYN, and an ICMP error about its packet, tell of the server.
void write_signs(Writer& writer) {
  writer.open("unanswered");
  for (const bool ranges : {false, true})
    for (const Family family : families)
      writer.add(writer.rule("a client's SYN is not answered")
                     .only(family)
                     .load_vip_key(family)
                     .in_set(name_of({SetKind::known, family, ranges}))
                     .limit(logged_a_second)
                     .log(log_group, log_unanswered));
  writer.open("unreachable");
  for (const bool ranges : {false, true})
    for (const Family family : families)
      writer.add(writer.rule("a client's server is not reached")
                     .only(family)
                     .load_original_vip_of_error(family)
                     .in_set(name_of({SetKind::known, family, ranges}))
                     .limit(logged_a_second)
                     .log(log_group, log_unreachable));
}

/// All but a few packets are done with the guard after this one's first rule.
void write_openings(Writer& writer) {
  constexpr std::uint8_t flags = TH_FIN | TH_SYN | TH_RST | TH_ACK;
  writer.add(writer.rule("TCP under way: nothing to learn from it").only_tcp().no_tcp_flags(TH_SYN | TH_RST).verdict(NF_ACCEPT));
  writer.add(writer.rule("a server refuses").only_tcp().tcp_flags(flags, TH_RST | TH_ACK).in_reply_direction().verdict(NFT_GOTO, "hold"));
  writer.add(writer.rule("a SYN again, and no answer to the first")
                 .only_tcp()
                 .tcp_flags(flags, TH_SYN)
                 .ct_status(IPS_CONFIRMED | IPS_SEEN_REPLY, IPS_CONFIRMED)
                 .in_direction(IP_CT_DIR_ORIGINAL)
                 .verdict(NFT_GOTO, "unanswered"));
  for (const Family family : families)
    writer.add(writer.rule("an error about a client's packet")
                   .only_destination_unreachable(family)
                   .in_reply_direction()
                   .verdict(NFT_GOTO, "unreachable"));
}

void write_untracked(Writer& writer) {
  writer.open("untracked_output");
  writer.add(writer.rule("hanatd's nudges and probes").packet_mark(packet_mark).notrack());
}

void write_guard(Writer& writer, const std::string& chain, bool for_clients_of_the_network) {
  writer.open(chain);
  for (const Family family : families)
    writer.add(
        writer.rule("refused, stale or moved").only(family).load_daddr(family, 0).in_verdict_map(name_of({SetKind::armed, family, false})));
  // On the gateway itself a cut flow is reset by the new server or by the rule for moved ones; one lookup less for all its own traffic.
  if (!for_clients_of_the_network) return;
  writer.add(writer.rule("TCP in the middle of nothing")
                 .ct_state(state_new)
                 .only_tcp()
                 .no_tcp_flags(TH_SYN | TH_RST)
                 .verdict(NFT_GOTO, "midstream"));
  write_openings(writer); // answers to clients on the gateway come by here too
}

void write_translate(Writer& writer, const std::string& chain) {
  writer.open(chain);
  for (const Family family : families)
    writer.add(writer.rule("one lookup decides")
                   .only(family)
                   .load_vip_key(family)
                   .from_map(name_of({SetKind::target, family, false}))
                   .dnat(family));
  for (const Family family : families)
    writer.add(writer.rule("or one more, for ranges of ports: kept")
                   .only(family)
                   .load_vip_key(family)
                   .from_map(name_of({SetKind::target, family, true}))
                   .dnat_address(family));
  // Behind the lookup: without a target nothing may leak to the default route or to a listener of the gateway. Kernels before 6.17 can also
  // miss an element that is being replaced; the client's next SYN heals that.
  for (const bool ranges : {false, true})
    for (const Family family : families)
      writer.add(writer.rule("no target yet")
                     .only(family)
                     .load_vip_key(family)
                     .in_set(name_of({SetKind::known, family, ranges}))
                     .verdict(NF_DROP));
}

void write_source(Writer& writer) {
  writer.open("source");
  for (const bool ranges : {false, true})
    for (const Family family : families) {
      const auto key = [family, ranges](RuleWriter&& rule) {
        const unsigned next = words_of(family) + 2;
        rule.only(family).load_original_vip(family).load_daddr(family, next);
        if (!ranges) rule.load_dport(next + words_of(family));
        return std::move(rule);
      };
      writer.add(key(writer.rule("source becomes the gateway's")).in_verdict_map(name_of({SetKind::masquerade, family, ranges})));
      writer.add(
          key(writer.rule("fixed source")).from_map(name_of({SetKind::source, family, ranges})).snat(family, source_first, source_last));
    }
  writer.open(chain_masquerade);
  writer.add(writer.rule("ports below those of hanat's probes").masquerade(source_first, source_last));
  // A client in its server's own network, and a server that calls its own service: the answer would go straight to it, from an address that
  // it never asked. Such a packet leaves by the interface by which it came; a kernel with `meta iif` in postrouting is Linux 5.7 or later.
  writer.open(chain_hairpin);
  writer.add(writer.rule("leaves as it came: the answer would not pass the gateway")
                 .load_entry(0)
                 .load_entry(1)
                 .update_set(set_same_way)
                 .load_entry(0)
                 .load_exit(1)
                 .in_set(set_same_way)
                 .verdict(NFT_GOTO, chain_masquerade));
}

} // namespace

std::vector<RulePtr> make_rules(const std::string& table) {
  Writer writer{table};
  write_refuse(writer);
  for (const Family family : families) write_armed_guard(writer, family);
  write_midstream(writer);
  write_hold(writer);
  write_signs(writer);
  write_untracked(writer);
  write_guard(writer, "guard", true);
  write_guard(writer, "guard_output", false);
  write_translate(writer, "translate");
  write_translate(writer, "translate_output");
  write_source(writer);
  return writer.take();
}

RulePtr make_untracked_rule(const std::string& table) {
  Writer writer{table};
  writer.open(chain_untracked);
  writer.add(writer.rule("answers to hanatd's probes").dport_between(probe_port_first, probe_port_last).socket_mark(packet_mark).notrack());
  return std::move(writer.take().front());
}

} // namespace hanat::nat
