// The rules of the guard: what must not reach a server is reset, rejected or dropped, refusals are held, and clients in trouble are
// logged. Not here: translation (ruleset_nat).
#include "nat/nftables/ruleset_parts.hpp"

#include <array>
#include <utility>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_tables.h>

#include "nat/marks.hpp"
#include "nat/nftables/layout.hpp"

namespace hanat::nat {
namespace {

// A client whose flow nobody knows repeats its packet after 0.2, 0.6, 1.4, 3 and 6 seconds.
constexpr std::uint64_t orphans_per_minute = 2;
constexpr std::uint32_t orphans_burst = 3;             // seconds
constexpr std::uint64_t reconnects_per_second = 1'000; // each is for one client, who else waits a second

constexpr std::uint32_t state_untracked = 1U << 6; // see state_new

void write_refuse(ChainWriter& writer) {
  writer.open(chain_refuse);
  writer.add(writer.rule("TCP: reset").only_tcp().reject_with_tcp_reset());
  writer.add(writer.rule("others: port unreachable, within the kernel's ICMP rate limit").reject_port_unreachable());
}

/// Flows that stand may go on in a moment: also connections that conntrack has lost, and those of UDP that get no replies.
void write_refuse_new(ChainWriter& writer) {
  writer.open(chain_refuse_new);
  writer.add(writer.rule("TCP that goes on").only_tcp().no_tcp_flags(TH_SYN).verdict(NFT_RETURN));
  writer.add(writer.rule("new flows").ct_state(state_new).ct_status(IPS_CONFIRMED, 0).verdict(NFT_GOTO, chain_refuse));
}

/// Reached only for addresses in `guarded`. Replies to the gateway's own flows, tracked or not, are not packets of clients, but a range may
/// include their ports. Everywhere, exact endpoints come before ranges.
void write_address_guard(ChainWriter& writer, Family family) {
  writer.open(family == Family::ipv4 ? chain_guard4 : chain_guard6);
  writer.add(writer.rule("replies to the gateway's own flows").in_reply_direction().verdict(NFT_RETURN));
  writer.add(writer.rule("untracked").ct_state(state_untracked).verdict(NFT_RETURN));
  writer.add(writer.rule("no server left").only(family).load_vip_key(family).in_verdict_map(name_of({SetKind::reject, family})));
  const auto in_stale = [family](RuleWriter& rule) -> RuleWriter& {
    return rule.load_vip_key(family).load_reply_source(family, registers_of(family) + 2).in_set(name_of({SetKind::stale, family}));
  };
  auto stale = writer.rule("flow to an old server");
  stale.only(family).only_tcp().no_tcp_flags(TH_SYN | TH_RST);
  writer.add(in_stale(stale).reject_with_tcp_reset());
  // A client that was reset connects again from the same port, and its old entry would take the SYN to the old server.
  auto again = writer.rule("SYN of a client whose old connection has an entry");
  again.only(family).only_tcp().tcp_flags(opening_flags, TH_SYN);
  writer.add(in_stale(again).verdict(NFT_GOTO, "reconnect"));
  // Only for `recent`, not for every VIP. A packet without an entry may belong to a healthy flow that conntrack has forgotten, and a single
  // segment outside the window is invalid, too: a reset would end a healthy connection.
  writer.add(writer.rule("late packet of a deleted flow")
                 .only(family)
                 .only_tcp()
                 .ct_state(state_invalid | state_new)
                 .no_tcp_flags(TH_SYN | TH_RST)
                 .load_vip_key(family)
                 .in_set(name_of({SetKind::recent, family}))
                 .reject_with_tcp_reset());
  writer.add(writer.rule("ranges of ports").verdict(NFT_JUMP, family == Family::ipv4 ? chain_guard4_ranges : chain_guard6_ranges));
}

/// hanatd deletes the entry and nudges the client, which then sends its SYN again.
void write_reconnect(ChainWriter& writer) {
  writer.open("reconnect");
  writer.add(writer.rule("hanatd does not run: nobody would delete the entry").load_zero().not_in_set(set_heartbeat).verdict(NFT_RETURN));
  writer.add(writer.rule("hanatd deletes the entry").limit(reconnects_per_second).log(log_group, log_reconnect));
  writer.add(writer.rule("the client's next SYN goes to the next server").verdict(NF_DROP));
}

/// TCP to a virtual endpoint that fits no flow. If it is new, conntrack picks the flow up with it, unless a rule of the operator drops it.
/// If it is invalid, it is outside the window of a healthy connection, and nothing translates it: the machine that it reaches would reply
/// with a reset, and end the connection. With nf_conntrack_tcp_loose = 0 a packet without an entry is invalid, too. A client that goes on
/// for some seconds with packets that are not picked up (write_picked_up), or not even new, has no flow: nobody else would ever tell it.
void write_orphan(ChainWriter& writer, Family family, bool tcp_loose) {
  writer.open(family == Family::ipv4 ? "orphan4" : "orphan6");
  writer.add(writer.rule("picked up, and not answered yet").ct_status_any(IPS_CONFIRMED).verdict(NFT_RETURN));
  writer.add(writer.rule("for some seconds: nobody picks it up")
                 .only(family)
                 .only_tcp()
                 .ct_state(tcp_loose ? state_new : state_invalid | state_new)
                 .load_client_tuple(family)
                 .not_in_set(orphans_now_set(family))
                 .load_client_tuple(family)
                 .add_to_set(orphans_now_set(family))
                 .load_client_tuple(family)
                 .over_limit_in_set(orphans_set(family), orphans_per_minute, orphans_burst)
                 .reject_with_tcp_reset());
  writer.add(writer.rule("no server would get it").ct_state(state_invalid).verdict(NF_DROP));
}

/// Reached by TCP without SYN or RST that fits no flow. What a server sends outside the window of its connection would pass untranslated,
/// and its client would reset it. Without tcp_loose it may as well be of a connection that has nothing to do with the virtual endpoint, and
/// whose entry is forgotten: that is let pass, as the kernel does.
void write_midstream(ChainWriter& writer, bool tcp_loose) {
  writer.open("midstream");
  for (const bool ranges : {false, true})
    for (const Family family : both_families)
      writer.add(writer.rule("from a client")
                     .only(family)
                     .load_vip_key(family)
                     .in_set(name_of({SetKind::vips, family, ranges}))
                     .verdict(NFT_GOTO, family == Family::ipv4 ? "orphan4" : "orphan6"));
  if (!tcp_loose) return;
  for (const bool ranges : {false, true})
    for (const Family family : both_families)
      writer.add(writer.rule("from a server, and its client does not know that address")
                     .only(family)
                     .ct_state(state_invalid)
                     .load_source_key(family)
                     .in_set(name_of({SetKind::servers, family, ranges}))
                     .verdict(NF_DROP));
}

/// Reached by TCP resets in reply to a SYN and by SCTP ABORTs in reply to an INIT. Such a reset has RST and ACK, as has that of a process
/// that ends with unread data; a reset in reply to mid-stream TCP has no ACK.
void write_hold(ChainWriter& writer) {
  writer.open("hold");
  writer.add(writer.rule("the connection was established").ct_status(IPS_ASSURED, IPS_ASSURED).verdict(NFT_RETURN));
  for (const Protocol protocol : {Protocol::tcp, Protocol::sctp}) {
    for (const bool ranges : {false, true})
      for (const Family family : both_families)
        writer.add(writer.rule("a client is refused: hanatd probes the server")
                       .only(family)
                       .only(protocol)
                       .load_original_vip(family)
                       .in_set(name_of({SetKind::vips, family, ranges}))
                       .limit(logged_per_second)
                       .log(log_group, log_refused));
    // Conntrack ends an entry whose first reply is a reset. Where it does not, there was a SYN ACK: the server, with TCP Fast Open its
    // process too, had the connection and the data of its SYN, and the client will not send another SYN.
    if (protocol == Protocol::tcp)
      writer.add(writer.rule("the server had accepted it").only_tcp().ct_status(IPS_DYING, 0).verdict(NFT_RETURN));
    for (const Family family : both_families) {
      auto rule = writer.rule(held_comment_of(protocol));
      rule.only(family).only(protocol).load_original_vip(family).load_reply_source(family, registers_of(family) + 2);
      writer.add(hold_once(rule, {SetKind::hold, family}, protocol == Protocol::tcp ? held_set(family) : held_other_set(family)));
    }
  }
  writer.add(writer.rule("ranges of ports").verdict(NFT_JUMP, chain_hold_ranges));
}

/// Logs an ICMP error about a client's packet: a sign that a server is down. The port unreachable of a UDP server whose process died is
/// held like a reset.
void write_unreachable(ChainWriter& writer) {
  writer.open("unreachable");
  for (const bool ranges : {false, true})
    for (const Family family : both_families)
      writer.add(writer.rule("a server is unreachable for a client")
                     .only_destination_unreachable(family)
                     .load_original_vip_of_error(family)
                     .in_set(name_of({SetKind::vips, family, ranges}))
                     .limit(logged_per_second)
                     .log(log_group, log_unreachable));
  // Whoever sent it: the server is that of the flow.
  for (const Family family : both_families) {
    auto rule = writer.rule("the first refusal is held: the client's next packet goes to the next server");
    rule.only_destination_unreachable(family, true).load_original_vip_of_error(family);
    rule.load_reply_source(family, registers_of(family) + 2);
    writer.add(hold_once(rule, {SetKind::hold, family}, held_other_set(family)));
  }
  writer.add(writer.rule("ranges of ports").verdict(NFT_JUMP, chain_unreachable_ranges));
}

/// Reached by TCP with SYN or RST.
void write_opening(ChainWriter& writer) {
  writer.open("opening");
  writer.add(writer.rule("a client's SYN").only_tcp().tcp_flags(opening_flags, TH_SYN).verdict(NFT_GOTO, "client_syn"));
  writer.add(
      writer.rule("a server accepts a connection").only_tcp().tcp_flags(opening_flags, TH_SYN | TH_ACK).verdict(NFT_GOTO, "answered"));
  writer.add(writer.rule("a server refuses a connection")
                 .only_tcp()
                 .tcp_flags(opening_flags, TH_RST | TH_ACK)
                 .in_reply_direction()
                 .verdict(NFT_GOTO, "hold"));
}

/// Connection setup and errors.
void write_openings(ChainWriter& writer) {
  writer.add(writer.rule("TCP with SYN or RST").only_tcp().verdict(NFT_GOTO, "opening"));
  writer.add(writer.rule("a server refuses an association").only_abort_of_init().in_reply_direction().verdict(NFT_GOTO, "hold"));
  for (const Family family : both_families)
    writer.add(writer.rule("an ICMP error about a client's packet")
                   .only_destination_unreachable(family)
                   .in_reply_direction()
                   .verdict(NFT_GOTO, "unreachable"));
}

void write_untracked(ChainWriter& writer) {
  writer.open("untracked_output");
  // Only a process with CAP_NET_ADMIN or CAP_NET_RAW can mark a packet. It is never sent; not even its entry is made.
  writer.add(writer.rule("hanatd's heartbeat").packet_mark(heartbeat_mark).load_zero().update_set(set_heartbeat).verdict(NF_DROP));
  writer.add(writer.rule("hanatd's nudges and probes").packet_mark(packet_mark).notrack());
}

/// Reached by packets that fit no flow, while this gateway is the standby of a pair or settles: the flow may be in the other gateway's
/// conntrack, and come here in a moment. A packet that passes would end it, or make an entry in its place: what a client sends in the
/// middle of its connection, and what a server sends to it. Both are sent again. What begins a flow passes.
void write_settle(ChainWriter& writer, const ProbePorts& probes) {
  writer.open("settle");
  writer.add(writer.rule("hanatd does not run: nobody would end this").load_zero().not_in_set(set_heartbeat).verdict(NFT_RETURN));
  writer.add(writer.rule("of the gateway itself").no_input_interface(false).verdict(NFT_RETURN));
  for (const bool ranges : {false, true})
    for (const Family family : both_families)
      writer.add(writer.rule("from a client in the middle of its connection")
                     .only(family)
                     .only_tcp()
                     .no_tcp_flags(TH_SYN | TH_RST)
                     .load_vip_key(family)
                     .in_set(name_of({SetKind::vips, family, ranges}))
                     .verdict(NF_DROP));
  writer.add(writer.rule("a server opens a connection of its own").only_tcp().tcp_flags(opening_flags, TH_SYN).verdict(NFT_RETURN));
  writer.add(
      writer.rule("replies to hanatd's probes").dport_between(probes.first, probes.last).socket_mark(packet_mark).verdict(NFT_RETURN));
  for (const bool ranges : {false, true})
    for (const Family family : both_families)
      writer.add(writer.rule("from a server, and its client does not know that address")
                     .only(family)
                     .load_source_key(family)
                     .in_set(name_of({SetKind::servers, family, ranges}))
                     .verdict(NF_DROP));
}

/// Reached only while an address is in reject, stale or recent, or the gateway settles. That comes first: for a flow that is still to come
/// into conntrack a reset is the end, whatever its virtual endpoint is in.
void write_guarded(ChainWriter& writer) {
  writer.open("guarded");
  writer.add(writer.rule("packets that fit no flow, while this gateway of a pair is standby or settles")
                 .load_family()
                 .in_set(name_of({SetKind::settling, Family::ipv4, false}))
                 .ct_state(state_invalid | state_new)
                 .verdict(NFT_JUMP, "settle"));
  for (const Family family : both_families)
    writer.add(writer.rule("in reject, stale or recent")
                   .only(family)
                   .load_daddr(family, 0)
                   .in_set(name_of({SetKind::guarded, family}))
                   .verdict(NFT_JUMP, family == Family::ipv4 ? chain_guard4 : chain_guard6));
}

void jump_to_guarded(ChainWriter& writer) {
  writer.add(writer.rule("addresses of this family are in guarded, or this gateway settles")
                 .load_family()
                 .in_set(name_of({SetKind::guarding, Family::ipv4, false}))
                 .verdict(NFT_JUMP, "guarded"));
}

/// Reached by TCP without SYN or RST: most of what a gateway forwards. Each expression here costs every such packet some 10 ns, which is
/// why replies leave first, and no set of addresses is looked up unless it has elements.
void write_segment(ChainWriter& writer) {
  writer.open("segment");
  writer.add(writer.rule("a reply, which fits its flow").in_reply_direction().verdict(NF_ACCEPT));
  jump_to_guarded(writer);
  writer.add(writer.rule("mid-stream TCP that fits no flow").ct_state(state_invalid | state_new).verdict(NFT_GOTO, "midstream"));
}

/// Replies to clients on the gateway pass here, too.
void write_guard_chain(ChainWriter& writer) {
  writer.open("guard");
  writer.add(writer.rule("TCP without SYN or RST").only_tcp().no_tcp_flags(TH_SYN | TH_RST).verdict(NFT_GOTO, "segment"));
  jump_to_guarded(writer);
  write_openings(writer);
}

/// A cut flow of a client on the gateway is reset by the new server or by the rule for `recent`. So the gateway's own traffic needs no
/// further lookup.
void write_guard_output(ChainWriter& writer) {
  writer.open("guard_output");
  jump_to_guarded(writer);
}

} // namespace

/// The rest of a rule whose key of `hold` is in the registers. The flow is identified by its original tuple. With a fully random source
/// port every retry of a client would look like another flow and be held again; and HeldClientReader finds the clients to nudge there.
/// `add` comes before `drop`: once the set is full, refusals pass.
RuleWriter& hold_once(RuleWriter& rule, SetId hold, const char* held) {
  return rule.in_set(name_of(hold))
      .load_zero()
      .in_set(set_heartbeat)
      .load_original_tuple(hold.family)
      .not_in_set(held)
      .load_original_tuple(hold.family)
      .add_to_set(held)
      .verdict(NF_DROP);
}

void write_guard(ChainWriter& writer, const RuleOptions& options) {
  write_refuse(writer);
  write_refuse_new(writer);
  for (const Family family : both_families) write_address_guard(writer, family);
  write_reconnect(writer);
  for (const Family family : both_families) write_orphan(writer, family, options.tcp_loose);
  write_midstream(writer, options.tcp_loose);
  write_hold(writer);
  write_opening(writer);
  write_unreachable(writer);
  write_untracked(writer);
  write_settle(writer, options.probe_ports);
  write_guarded(writer);
  write_segment(writer);
  write_guard_chain(writer);
  write_guard_output(writer);
}

} // namespace hanat::nat
