// The keys of ranges of ports: an address and a protocol. Not here: the other expressions of RuleWriter (rule_writer).
#include "nat/nftables/rule_writer.hpp"

#include <optional>

#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_tables.h>

namespace hanat::nat {

RuleWriter& RuleWriter::load_range_key(Family family) { return load_daddr(family, 0).load_meta(NFT_META_L4PROTO, registers_of(family)); }

RuleWriter& RuleWriter::load_original_range(Family family, unsigned index) {
  load_ct(family == Family::ipv4 ? NFT_CT_DST_IP : NFT_CT_DST_IP6, IP_CT_DIR_ORIGINAL, index);
  return load_meta(NFT_META_L4PROTO, index + registers_of(family));
}

RuleWriter& RuleWriter::load_original_range_of_error(Family family) {
  load_ct(family == Family::ipv4 ? NFT_CT_DST_IP : NFT_CT_DST_IP6, IP_CT_DIR_ORIGINAL, 0);
  return load_ct(NFT_CT_PROTOCOL, std::nullopt, registers_of(family));
}

} // namespace hanat::nat
