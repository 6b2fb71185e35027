// nf_tables expressions through libnftnl.
#include "nat/rule_writer.hpp"

#include <array>
#include <cstddef>

#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>

#include "nat/comment.hpp"

namespace hanat::nat {
namespace {

constexpr std::uint32_t dport_offset = 2; // TCP, UDP and SCTP alike
constexpr std::uint32_t tcp_flags_offset = 13;

std::uint32_t nfproto(Family family) { return family == Family::ipv4 ? NFPROTO_IPV4 : NFPROTO_IPV6; }

} // namespace

RuleWriter::RuleWriter(const std::string& table, const std::string& chain, const std::string& comment)
    : rule_(made(RulePtr{nftnl_rule_alloc()})) {
  nftnl_rule_set_u32(rule_.get(), NFTNL_RULE_FAMILY, NFPROTO_INET);
  nftnl_rule_set_str(rule_.get(), NFTNL_RULE_TABLE, table.c_str());
  nftnl_rule_set_str(rule_.get(), NFTNL_RULE_CHAIN, chain.c_str());
  const auto data = comment_data(comment);
  nftnl_rule_set_data(rule_.get(), NFTNL_RULE_USERDATA, nftnl_udata_buf_data(data.get()), nftnl_udata_buf_len(data.get()));
}

nftnl_expr* RuleWriter::add(const char* name) {
  nftnl_expr* expression = made(nftnl_expr_alloc(name));
  nftnl_rule_add_expr(rule_.get(), expression); // the rule frees it
  return expression;
}

RuleWriter& RuleWriter::load_payload(std::uint32_t base, std::uint32_t offset, std::uint32_t length, unsigned index) {
  nftnl_expr* expression = add("payload");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_BASE, base);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_LEN, length);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_DREG, reg(index));
  return *this;
}

RuleWriter& RuleWriter::load_meta(std::uint32_t key, unsigned index) {
  nftnl_expr* expression = add("meta");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_META_KEY, key);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_META_DREG, reg(index));
  return *this;
}

RuleWriter& RuleWriter::load_ct(std::uint32_t key, unsigned index) {
  nftnl_expr* expression = add("ct");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_CT_KEY, key);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_CT_DREG, reg(index));
  return *this;
}

RuleWriter& RuleWriter::load_ct(std::uint32_t key, std::uint8_t direction, unsigned index) {
  nftnl_expr* expression = add("ct");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_CT_KEY, key);
  nftnl_expr_set_u8(expression, NFTNL_EXPR_CT_DIR, direction);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_CT_DREG, reg(index));
  return *this;
}

RuleWriter& RuleWriter::compare(std::uint32_t operation, std::span<const std::uint8_t> bytes) {
  nftnl_expr* expression = add("cmp");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_CMP_SREG, reg(0));
  nftnl_expr_set_u32(expression, NFTNL_EXPR_CMP_OP, operation);
  nftnl_expr_set(expression, NFTNL_EXPR_CMP_DATA, bytes.data(), static_cast<std::uint32_t>(bytes.size()));
  return *this;
}

RuleWriter& RuleWriter::mask_and_compare(std::uint32_t operation, std::span<const std::uint8_t> mask) {
  const auto length = static_cast<std::uint32_t>(mask.size());
  const std::array<std::uint8_t, 4> zero{};
  nftnl_expr* expression = add("bitwise");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_BITWISE_SREG, reg(0));
  nftnl_expr_set_u32(expression, NFTNL_EXPR_BITWISE_DREG, reg(0));
  nftnl_expr_set_u32(expression, NFTNL_EXPR_BITWISE_LEN, length);
  nftnl_expr_set(expression, NFTNL_EXPR_BITWISE_MASK, mask.data(), length);
  nftnl_expr_set(expression, NFTNL_EXPR_BITWISE_XOR, zero.data(), length);
  return compare(operation, std::span{zero}.first(mask.size()));
}

RuleWriter& RuleWriter::only(Family family) {
  const std::array<std::uint8_t, 1> value{static_cast<std::uint8_t>(nfproto(family))};
  return load_meta(NFT_META_NFPROTO, 0).compare(NFT_CMP_EQ, value);
}

RuleWriter& RuleWriter::only_tcp() {
  const std::array<std::uint8_t, 1> value{IPPROTO_TCP};
  return load_meta(NFT_META_L4PROTO, 0).compare(NFT_CMP_EQ, value);
}

RuleWriter& RuleWriter::load_daddr(Family family, unsigned index) {
  if (family == Family::ipv4) return load_payload(NFT_PAYLOAD_NETWORK_HEADER, offsetof(iphdr, daddr), 4, index);
  return load_payload(NFT_PAYLOAD_NETWORK_HEADER, offsetof(ip6_hdr, ip6_dst), 16, index);
}

RuleWriter& RuleWriter::load_dport(unsigned index) { return load_payload(NFT_PAYLOAD_TRANSPORT_HEADER, dport_offset, 2, index); }

RuleWriter& RuleWriter::load_vip_key(Family family, unsigned index) {
  const unsigned next = index + words_of(family);
  return load_daddr(family, index).load_meta(NFT_META_L4PROTO, next).load_dport(next + 1);
}

RuleWriter& RuleWriter::load_original_vip(Family family, unsigned index) {
  const unsigned next = index + words_of(family);
  load_ct(family == Family::ipv4 ? NFT_CT_DST_IP : NFT_CT_DST_IP6, IP_CT_DIR_ORIGINAL, index);
  load_meta(NFT_META_L4PROTO, next);
  return load_ct(NFT_CT_PROTO_DST, IP_CT_DIR_ORIGINAL, next + 1);
}

RuleWriter& RuleWriter::load_reply_source(Family family, unsigned index) {
  load_ct(family == Family::ipv4 ? NFT_CT_SRC_IP : NFT_CT_SRC_IP6, IP_CT_DIR_REPLY, index);
  return load_ct(NFT_CT_PROTO_SRC, IP_CT_DIR_REPLY, index + words_of(family));
}

RuleWriter& RuleWriter::ct_state(std::uint32_t mask) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(&mask); // ct state is in the host's byte order
  return load_ct(NFT_CT_STATE, 0).mask_and_compare(NFT_CMP_NEQ, {bytes, sizeof mask});
}

RuleWriter& RuleWriter::in_reply_direction() {
  const std::array<std::uint8_t, 1> reply{IP_CT_DIR_REPLY};
  return load_ct(NFT_CT_DIRECTION, 0).compare(NFT_CMP_EQ, reply);
}

RuleWriter& RuleWriter::no_tcp_flags(std::uint8_t mask) {
  return load_payload(NFT_PAYLOAD_TRANSPORT_HEADER, tcp_flags_offset, 1, 0).mask_and_compare(NFT_CMP_EQ, {&mask, 1});
}

RuleWriter& RuleWriter::look_up(const std::string& set, std::optional<std::uint32_t> into) {
  nftnl_expr* expression = add("lookup");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_LOOKUP_SREG, reg(0));
  nftnl_expr_set_str(expression, NFTNL_EXPR_LOOKUP_SET, set.c_str());
  nftnl_expr_set_u32(expression, NFTNL_EXPR_LOOKUP_FLAGS, 0); // the kernel always names them in a dump
  if (into) nftnl_expr_set_u32(expression, NFTNL_EXPR_LOOKUP_DREG, *into);
  return *this;
}
RuleWriter& RuleWriter::in_set(const std::string& set) { return look_up(set, std::nullopt); }
RuleWriter& RuleWriter::in_verdict_map(const std::string& map) { return look_up(map, NFT_REG_VERDICT); }
RuleWriter& RuleWriter::from_map(const std::string& map) { return look_up(map, reg(0)); }

RuleWriter& RuleWriter::verdict(std::int32_t code, const std::string& chain) {
  nftnl_expr* expression = add("immediate");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_IMM_VERDICT, static_cast<std::uint32_t>(code));
  if (!chain.empty()) nftnl_expr_set_str(expression, NFTNL_EXPR_IMM_CHAIN, chain.c_str());
  return *this;
}

RuleWriter& RuleWriter::reject(std::uint32_t type, std::uint8_t code) {
  nftnl_expr* expression = add("reject");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_REJECT_TYPE, type);
  nftnl_expr_set_u8(expression, NFTNL_EXPR_REJECT_CODE, code);
  return *this;
}
RuleWriter& RuleWriter::reject_with_tcp_reset() { return reject(NFT_REJECT_TCP_RST, 0); }
RuleWriter& RuleWriter::reject_port_unreachable() { return reject(NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_PORT_UNREACH); }

// The kernel would fill in the ends of a range and the flags itself; said here, a rule dumps as it was written.
RuleWriter& RuleWriter::dnat(Family family) {
  nftnl_expr* expression = add("nat");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_NAT_FAMILY, nfproto(family));
  nftnl_expr_set_u32(expression, NFTNL_EXPR_NAT_REG_ADDR_MIN, reg(0));
  nftnl_expr_set_u32(expression, NFTNL_EXPR_NAT_REG_ADDR_MAX, reg(0));
  nftnl_expr_set_u32(expression, NFTNL_EXPR_NAT_REG_PROTO_MIN, reg(words_of(family)));
  nftnl_expr_set_u32(expression, NFTNL_EXPR_NAT_REG_PROTO_MAX, reg(words_of(family)));
  nftnl_expr_set_u32(expression, NFTNL_EXPR_NAT_FLAGS, NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED);
  return *this;
}

void RuleWriter::load_ports(std::uint16_t first_port, std::uint16_t last_port, unsigned index) {
  for (const std::uint16_t port : {first_port, last_port}) {
    const std::uint16_t network_order = htons(port);
    nftnl_expr* expression = add("immediate");
    nftnl_expr_set_u32(expression, NFTNL_EXPR_IMM_DREG, reg(index++));
    nftnl_expr_set(expression, NFTNL_EXPR_IMM_DATA, &network_order, sizeof network_order);
  }
}

RuleWriter& RuleWriter::snat(Family family, std::uint16_t first_port, std::uint16_t last_port) {
  const unsigned ports = words_of(family); // behind the address
  load_ports(first_port, last_port, ports);
  nftnl_expr* expression = add("nat");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_NAT_TYPE, NFT_NAT_SNAT);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_NAT_FAMILY, nfproto(family));
  nftnl_expr_set_u32(expression, NFTNL_EXPR_NAT_REG_ADDR_MIN, reg(0));
  nftnl_expr_set_u32(expression, NFTNL_EXPR_NAT_REG_ADDR_MAX, reg(0));
  nftnl_expr_set_u32(expression, NFTNL_EXPR_NAT_REG_PROTO_MIN, reg(ports));
  nftnl_expr_set_u32(expression, NFTNL_EXPR_NAT_REG_PROTO_MAX, reg(ports + 1));
  nftnl_expr_set_u32(expression, NFTNL_EXPR_NAT_FLAGS,
                     NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED | NF_NAT_RANGE_PROTO_RANDOM_FULLY);
  return *this;
}

RuleWriter& RuleWriter::masquerade(std::uint16_t first_port, std::uint16_t last_port) {
  load_ports(first_port, last_port, 0);
  nftnl_expr* expression = add("masq");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_MASQ_FLAGS, NF_NAT_RANGE_PROTO_RANDOM_FULLY | NF_NAT_RANGE_PROTO_SPECIFIED);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_MASQ_REG_PROTO_MIN, reg(0));
  nftnl_expr_set_u32(expression, NFTNL_EXPR_MASQ_REG_PROTO_MAX, reg(1));
  return *this;
}

std::string describe(const nftnl_rule& rule) {
  std::uint32_t length = 0;
  const void* data = nftnl_rule_get_data(&rule, NFTNL_RULE_USERDATA, &length);
  std::string text = comment_in(data, length) + '\n';
  nftnl_expr_foreach(
      const_cast<nftnl_rule*>(&rule), // libnftnl reads only
      [](nftnl_expr* expression, void* out) {
        std::array<char, 512> line{};
        nftnl_expr_snprintf(line.data(), line.size(), expression, NFTNL_OUTPUT_DEFAULT, 0);
        static_cast<std::string*>(out)
            ->append("  [ ")
            .append(nftnl_expr_get_str(expression, NFTNL_EXPR_NAME))
            .append(" ")
            .append(line.data())
            .append("]\n");
        return 0;
      },
      &text);
  return text;
}

} // namespace hanat::nat
