// The rules of translation, which only first packets of flows meet: the server of a virtual endpoint, and the source address. Not here:
// what the guard lets pass (ruleset_guard).
#include "nat/nftables/ruleset_parts.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <utility>

#include <fmt/format.h>
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

// Translated source ports are fully random: after a cut, the next client with the same port would get a late reply that was meant for the
// previous one.

/// Reached by the first packets of flows to exact endpoints. Without a target nothing may leak to the default route or to a listener on the
/// gateway. Kernels before 6.17 can also miss an element that is being replaced; then the client's next SYN succeeds.
void write_dnat_of(ChainWriter& writer, Family family) {
  writer.open(family == Family::ipv4 ? chain_dnat4 : chain_dnat6);
  writer.add(
      writer.rule("server of an endpoint").only(family).load_vip_key(family).from_map(name_of({SetKind::dnat, family})).dnat(family));
  writer.add(writer.rule("no target").verdict(NF_DROP));
}

void write_dnat_chain(ChainWriter& writer, const std::string& chain) {
  writer.open(chain);
  for (const Family family : both_families)
    writer.add(writer.rule("to an endpoint")
                   .only(family)
                   .load_vip_key(family)
                   .in_set(name_of({SetKind::flows, family}))
                   .verdict(NFT_GOTO, family == Family::ipv4 ? chain_dnat4 : chain_dnat6));
  writer.add(writer.rule("ranges of ports").verdict(NFT_JUMP, chain_dnat_ranges));
  for (const Family family : both_families)
    writer.add(writer.rule("no target").only(family).load_vip_key(family).in_set(name_of({SetKind::vips, family, true})).verdict(NF_DROP));
}

/// Only first packets of flows that do not go to a virtual endpoint come here. Where the gateway translates the source of what its servers
/// send, a server that speaks first would take the client's flow back from the new target.
void write_displaced(ChainWriter& writer) {
  writer.open("dnat_prerouting");
  for (const bool ranges : {false, true})
    for (const Family family : both_families)
      writer.add(writer.rule("new flow of a server that lost its traffic")
                     .only(family)
                     .load_source_key(family)
                     .in_set(name_of({SetKind::displaced, family, ranges}))
                     .verdict(NF_DROP));
}

/// Reached only for flows to addresses in `translated`. The server is that of the flow: after DNAT, the source of its replies.
void write_source_of(ChainWriter& writer, Family family, const SourcePorts& ports) {
  writer.open(family == Family::ipv4 ? chain_source_ipv4 : chain_source_ipv6);
  const unsigned after_vip = registers_of(family) + 2;
  for (const Protocol protocol : all_protocols)
    for (const bool ranges : {false, true}) {
      const auto key = [=](RuleWriter&& rule) {
        rule.only(family).only(protocol).load_original_vip(family);
        if (ranges)
          rule.load_reply_address(family, after_vip);
        else
          rule.load_reply_source(family, after_vip);
        return std::move(rule);
      };
      writer.add(key(writer.rule("source address of the gateway")).in_verdict_map(name_of({SetKind::masquerade, family, ranges})));
      writer.add(key(writer.rule("fixed source address"))
                     .from_map(name_of({SetKind::snat, family, ranges}))
                     .snat(family, ports.first, ports.last));
    }
}

/// The first packet of a flow has come as far as this: no rule has dropped it, and the flow of a client in the middle of its connection is
/// picked up.
void write_picked_up(ChainWriter& writer) {
  writer.open("picked_up");
  for (const Family family : both_families)
    writer.add(
        writer.rule("not forgotten any more").only(family).only_tcp().load_original_tuple(family).delete_from_set(orphans_set(family)));
}

void write_masquerade(ChainWriter& writer, const SourcePorts& ports) {
  writer.open(chain_masquerade);
  const std::string text = fmt::format("source ports {} those of hanatd's probes", ports.last == UINT16_MAX ? "above" : "below");
  for (const Protocol protocol : all_protocols) writer.add(writer.rule(text).only(protocol).masquerade(ports.first, ports.last));
  // A client in its server's own network, or a server that connects to its own service: the reply would go straight to the client, from an
  // address that it did not connect to. Such a packet leaves by the interface it came in by. `meta iif` in postrouting needs Linux 5.7.
  writer.open(chain_hairpin);
  writer.add(writer.rule("leaves by the interface it came in by: the reply would bypass the gateway")
                 .load_iif(0)
                 .load_iif(1)
                 .update_set(set_hairpin_ifaces)
                 .load_iif(0)
                 .load_oif(1)
                 .in_set(set_hairpin_ifaces)
                 .verdict(NFT_GOTO, chain_masquerade));
  // With bridge-nf-call-iptables a packet that the bridge passes on to a server of its own has no input interface here, like the gateway's
  // own.
  writer.add(writer.rule("of the gateway itself").no_input_interface(true).verdict(NFT_RETURN));
  writer.add(writer.rule("stays on its bridge").no_input_interface(false).verdict(NFT_GOTO, chain_masquerade));
}

} // namespace

void write_dnat(ChainWriter& writer) {
  for (const Family family : both_families) write_dnat_of(writer, family);
  writer.open("dnat_prerouting");
  write_dnat_chain(writer, "dnat_prerouting");
  write_displaced(writer);
  write_dnat_chain(writer, "dnat_output");
}

void write_source(ChainWriter& writer, const SourcePorts& ports) {
  for (const Family family : both_families) write_source_of(writer, family, ports);
  write_picked_up(writer);
  write_masquerade(writer, ports);
  // Each new connection through the gateway pays for these rules. A reply address of the other family ends a rule by itself.
  writer.open("source");
  writer.add(writer.rule("picked up").only_tcp().no_tcp_flags(TH_SYN | TH_RST).verdict(NFT_JUMP, "picked_up"));
  for (const Family family : both_families)
    writer.add(writer.rule("to a server whose clients may get another source address")
                   .load_reply_address(family, 0)
                   .in_verdict_map(name_of({SetKind::translated, family, false})));
}

} // namespace hanat::nat
