// The expressions of RuleWriter that only the rules of the trace table have. Not here: the others (rule_writer).
#include "nat/nftables/rule_writer.hpp"

#include <array>

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_tables.h>

namespace hanat::nat {

RuleWriter& RuleWriter::not_tcp() {
  const std::array<std::uint8_t, 1> value{static_cast<std::uint8_t>(Protocol::tcp)};
  return load_meta(NFT_META_L4PROTO, 0).compare(NFT_CMP_NEQ, value);
}

RuleWriter& RuleWriter::any_tcp_flag(std::uint8_t mask) {
  constexpr std::uint32_t flags_offset = 13;
  const std::uint8_t none = 0;
  return load_payload(NFT_PAYLOAD_TRANSPORT_HEADER, flags_offset, 1, 0).mask_and_compare(NFT_CMP_NEQ, {&mask, 1}, {&none, 1});
}

RuleWriter& RuleWriter::load_client_and_vip(Family family) { return load_saddr(family, 0).load_vip_key(family, registers_of(family)); }

RuleWriter& RuleWriter::load_original_client_and_vip(Family family) {
  const bool v4 = family == Family::ipv4;
  const unsigned address = registers_of(family);
  load_ct(v4 ? NFT_CT_SRC_IP : NFT_CT_SRC_IP6, IP_CT_DIR_ORIGINAL, 0);
  load_ct(v4 ? NFT_CT_DST_IP : NFT_CT_DST_IP6, IP_CT_DIR_ORIGINAL, address);
  load_ct(NFT_CT_PROTOCOL, std::nullopt, 2 * address);
  return load_ct(NFT_CT_PROTO_DST, IP_CT_DIR_ORIGINAL, 2 * address + 1);
}

RuleWriter& RuleWriter::set_nftrace() {
  const std::uint8_t on = 1;
  nftnl_expr* value = add("immediate");
  nftnl_expr_set_u32(value, NFTNL_EXPR_IMM_DREG, reg(0));
  nftnl_expr_set(value, NFTNL_EXPR_IMM_DATA, &on, sizeof on);
  nftnl_expr* expression = add("meta");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_META_KEY, NFT_META_NFTRACE);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_META_SREG, reg(0));
  return *this;
}

} // namespace hanat::nat
