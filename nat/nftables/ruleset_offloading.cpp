// The rules that put established flows on the flowtable. Each packet that the gateway forwards past the flowtable pays for them, in one
// direction. Not here: the flowtable itself (layout), who takes its flows off it again (conntrack/cut).
#include "nat/nftables/ruleset_parts.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>

#include "nat/nftables/layout.hpp"

namespace hanat::nat {

/// Only by packets of the client: the guard has seen them, and would have reset a TCP flow of an old server. TCP is assured with the third
/// packet of its handshake, UDP when client and server go on for two seconds: a mere request and its answer are cheaper without a
/// flowtable.
void write_offloading(ChainWriter& writer) {
  writer.open(chain_offloading);
  writer.add(writer.rule("a reply").in_reply_direction().verdict(NF_ACCEPT));
  writer.add(writer.rule("not assured: a flow that has just begun, or UDP that is a request and its answer")
                 .ct_status(IPS_ASSURED, 0)
                 .verdict(NF_ACCEPT));
  for (const Protocol protocol : {Protocol::tcp, Protocol::udp})
    for (const bool ranges : {false, true})
      for (const Family family : both_families)
        writer.add(writer.rule("an established flow of a service with offload = true")
                       .only(family)
                       .only(protocol)
                       .load_original_vip(family)
                       .in_set(name_of({SetKind::offloaded, family, ranges}))
                       .add_flow(flowtable_name));
}

} // namespace hanat::nat
