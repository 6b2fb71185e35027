// Builds nf_tables expressions with libnftnl.
#include "nat/nftables/rule_writer.hpp"

#include <array>
#include <cstddef>
#include <utility>

#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>

#include "nat/nftables/comment.hpp"
#include "nat/nftables/set_elements.hpp"

namespace hanat::nat {
namespace {

constexpr std::uint32_t sport_offset = 0; // TCP, UDP and SCTP alike
constexpr std::uint32_t dport_offset = 2;
constexpr std::uint32_t tcp_flags_offset = 13;
constexpr std::uint32_t icmp_type_offset = 0;
constexpr std::uint32_t sctp_chunk_offset = 12; // type, flags
// Bytes of a packet in a log entry: room for the headers of an ICMPv6 error and of the packet that it quotes.
constexpr std::uint32_t logged_bytes = 128;
constexpr std::uint16_t log_immediately = 1; // entries that the kernel collects before it sends them: the reader must not wait
constexpr std::uint64_t one_second = 1;

/// The bytes of a value in host byte order.
std::span<const std::uint8_t> bytes_of(const std::uint32_t& value) { return {reinterpret_cast<const std::uint8_t*>(&value), sizeof value}; }

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

RuleWriter& RuleWriter::load_ct(std::uint32_t key, std::optional<std::uint8_t> direction, unsigned index) {
  nftnl_expr* expression = add("ct");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_CT_KEY, key);
  if (direction) nftnl_expr_set_u8(expression, NFTNL_EXPR_CT_DIR, *direction);
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

RuleWriter& RuleWriter::mask(std::span<const std::uint8_t> mask) {
  const auto length = static_cast<std::uint32_t>(mask.size());
  const std::array<std::uint8_t, 4> zero{};
  nftnl_expr* expression = add("bitwise");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_BITWISE_SREG, reg(0));
  nftnl_expr_set_u32(expression, NFTNL_EXPR_BITWISE_DREG, reg(0));
  nftnl_expr_set_u32(expression, NFTNL_EXPR_BITWISE_LEN, length);
  nftnl_expr_set(expression, NFTNL_EXPR_BITWISE_MASK, mask.data(), length);
  nftnl_expr_set(expression, NFTNL_EXPR_BITWISE_XOR, zero.data(), length);
  return *this;
}

RuleWriter& RuleWriter::mask_and_compare(std::uint32_t operation, std::span<const std::uint8_t> bits, std::span<const std::uint8_t> value) {
  return mask(bits).compare(operation, value);
}

RuleWriter& RuleWriter::only(Family family) {
  const std::array<std::uint8_t, 1> value{nfproto(family)};
  return load_meta(NFT_META_NFPROTO, 0).compare(NFT_CMP_EQ, value);
}

RuleWriter& RuleWriter::only(Protocol protocol) {
  const std::array<std::uint8_t, 1> value{static_cast<std::uint8_t>(protocol)};
  return load_meta(NFT_META_L4PROTO, 0).compare(NFT_CMP_EQ, value);
}
RuleWriter& RuleWriter::only_tcp() { return only(Protocol::tcp); }

RuleWriter& RuleWriter::load_daddr(Family family, unsigned index) {
  if (family == Family::ipv4) return load_payload(NFT_PAYLOAD_NETWORK_HEADER, offsetof(iphdr, daddr), 4, index);
  return load_payload(NFT_PAYLOAD_NETWORK_HEADER, offsetof(ip6_hdr, ip6_dst), 16, index);
}

RuleWriter& RuleWriter::load_saddr(Family family, unsigned index) {
  if (family == Family::ipv4) return load_payload(NFT_PAYLOAD_NETWORK_HEADER, offsetof(iphdr, saddr), 4, index);
  return load_payload(NFT_PAYLOAD_NETWORK_HEADER, offsetof(ip6_hdr, ip6_src), 16, index);
}

RuleWriter& RuleWriter::load_sender(Family family, unsigned index) {
  load_saddr(family, index);
  return load_payload(NFT_PAYLOAD_TRANSPORT_HEADER, sport_offset, 2, index + registers_of(family));
}

RuleWriter& RuleWriter::load_dport(unsigned index) { return load_payload(NFT_PAYLOAD_TRANSPORT_HEADER, dport_offset, 2, index); }

RuleWriter& RuleWriter::load_protocol(unsigned index) { return load_meta(NFT_META_L4PROTO, index); }
RuleWriter& RuleWriter::load_family() { return load_meta(NFT_META_NFPROTO, 0); }
RuleWriter& RuleWriter::load_iif(unsigned index) { return load_meta(NFT_META_IIF, index); }
RuleWriter& RuleWriter::load_oif(unsigned index) { return load_meta(NFT_META_OIF, index); }
RuleWriter& RuleWriter::load_zero() {
  load_meta(NFT_META_MARK, 0);
  return mask(bytes_of(0));
}

RuleWriter& RuleWriter::load_vip_key(Family family, unsigned index) {
  const unsigned next = index + registers_of(family);
  return load_daddr(family, index).load_meta(NFT_META_L4PROTO, next).load_dport(next + 1);
}

RuleWriter& RuleWriter::load_source_key(Family family) {
  const unsigned next = registers_of(family);
  load_saddr(family, 0).load_meta(NFT_META_L4PROTO, next);
  return load_payload(NFT_PAYLOAD_TRANSPORT_HEADER, sport_offset, 2, next + 1);
}

RuleWriter& RuleWriter::load_original_vip(Family family, unsigned index) {
  return load_original_range(family, index).load_ct(NFT_CT_PROTO_DST, IP_CT_DIR_ORIGINAL, index + registers_of(family) + 1);
}

RuleWriter& RuleWriter::load_original_vip_of_error(Family family) {
  load_original_range_of_error(family);
  return load_ct(NFT_CT_PROTO_DST, IP_CT_DIR_ORIGINAL, registers_of(family) + 1);
}

RuleWriter& RuleWriter::load_client_tuple(Family family) {
  const unsigned address = registers_of(family);
  return load_sender(family, 0).load_daddr(family, address + 1).load_dport(2 * address + 1);
}

RuleWriter& RuleWriter::load_original_tuple(Family family) {
  const bool v4 = family == Family::ipv4;
  const unsigned address = registers_of(family);
  load_ct(v4 ? NFT_CT_SRC_IP : NFT_CT_SRC_IP6, IP_CT_DIR_ORIGINAL, 0);
  load_ct(NFT_CT_PROTO_SRC, IP_CT_DIR_ORIGINAL, address);
  load_ct(v4 ? NFT_CT_DST_IP : NFT_CT_DST_IP6, IP_CT_DIR_ORIGINAL, address + 1);
  return load_ct(NFT_CT_PROTO_DST, IP_CT_DIR_ORIGINAL, 2 * address + 1);
}

RuleWriter& RuleWriter::load_reply_address(Family family, unsigned index) {
  return load_ct(family == Family::ipv4 ? NFT_CT_SRC_IP : NFT_CT_SRC_IP6, IP_CT_DIR_REPLY, index);
}

RuleWriter& RuleWriter::load_reply_source(Family family, unsigned index) {
  load_reply_address(family, index);
  return load_ct(NFT_CT_PROTO_SRC, IP_CT_DIR_REPLY, index + registers_of(family));
}

RuleWriter& RuleWriter::ct_state(std::uint32_t mask) {
  return load_ct(NFT_CT_STATE, std::nullopt, 0).mask_and_compare(NFT_CMP_NEQ, bytes_of(mask), bytes_of(0));
}

RuleWriter& RuleWriter::ct_status(std::uint32_t mask, std::uint32_t value) {
  return load_ct(NFT_CT_STATUS, std::nullopt, 0).mask_and_compare(NFT_CMP_EQ, bytes_of(mask), bytes_of(value));
}

RuleWriter& RuleWriter::ct_status_any(std::uint32_t mask) {
  return load_ct(NFT_CT_STATUS, std::nullopt, 0).mask_and_compare(NFT_CMP_NEQ, bytes_of(mask), bytes_of(0));
}

RuleWriter& RuleWriter::in_direction(std::uint8_t direction) {
  return load_ct(NFT_CT_DIRECTION, std::nullopt, 0).compare(NFT_CMP_EQ, {&direction, 1});
}
RuleWriter& RuleWriter::in_reply_direction() { return in_direction(IP_CT_DIR_REPLY); }

RuleWriter& RuleWriter::no_tcp_flags(std::uint8_t mask) { return tcp_flags(mask, 0); }
RuleWriter& RuleWriter::tcp_flags(std::uint8_t mask, std::uint8_t value) {
  return load_payload(NFT_PAYLOAD_TRANSPORT_HEADER, tcp_flags_offset, 1, 0).mask_and_compare(NFT_CMP_EQ, {&mask, 1}, {&value, 1});
}

RuleWriter& RuleWriter::only_destination_unreachable(Family family, bool port_only) {
  const bool v4 = family == Family::ipv4;
  const std::array<std::uint8_t, 1> protocol{v4 ? std::uint8_t{IPPROTO_ICMP} : std::uint8_t{IPPROTO_ICMPV6}};
  const std::array<std::uint8_t, 2> type_and_code{v4 ? std::uint8_t{ICMP_DEST_UNREACH} : std::uint8_t{ICMP6_DST_UNREACH},
                                                  v4 ? std::uint8_t{ICMP_PORT_UNREACH} : std::uint8_t{ICMP6_DST_UNREACH_NOPORT}};
  const auto compared = std::span{type_and_code}.first(port_only ? 2 : 1);
  only(family).load_protocol(0).compare(NFT_CMP_EQ, protocol);
  return load_payload(NFT_PAYLOAD_TRANSPORT_HEADER, icmp_type_offset, static_cast<std::uint32_t>(compared.size()), 0)
      .compare(NFT_CMP_EQ, compared);
}

RuleWriter& RuleWriter::only_abort_of_init() {
  constexpr std::array<std::uint8_t, 2> abort_of_init{6, 0}; // RFC 9260, 8.4: in reply to any other chunk it has the flag T
  return only(Protocol::sctp).load_payload(NFT_PAYLOAD_TRANSPORT_HEADER, sctp_chunk_offset, 2, 0).compare(NFT_CMP_EQ, abort_of_init);
}

RuleWriter& RuleWriter::dport_between(std::uint16_t first, std::uint16_t last) {
  load_dport(0);
  for (const auto& [operation, port] : {std::pair{NFT_CMP_GTE, htons(first)}, std::pair{NFT_CMP_LTE, htons(last)}})
    compare(operation, {reinterpret_cast<const std::uint8_t*>(&port), sizeof port});
  return *this;
}

RuleWriter& RuleWriter::packet_mark(std::uint32_t mark) { return load_meta(NFT_META_MARK, 0).compare(NFT_CMP_EQ, bytes_of(mark)); }

RuleWriter& RuleWriter::no_input_interface(bool of_process) {
  constexpr std::uint32_t nobody = 0xffffffff; // the uid of a socket's owner; without a socket there is none, and the rule ends
  load_iif(0).compare(NFT_CMP_EQ, bytes_of(0));
  return of_process ? load_meta(NFT_META_SKUID, 0).compare(NFT_CMP_NEQ, bytes_of(nobody)) : *this;
}

RuleWriter& RuleWriter::socket_mark(std::uint32_t mark) {
  nftnl_expr* expression = add("socket");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_SOCKET_KEY, NFT_SOCKET_MARK);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_SOCKET_DREG, reg(0));
  return compare(NFT_CMP_EQ, bytes_of(mark));
}

RuleWriter& RuleWriter::notrack() {
  add("notrack");
  return *this;
}

RuleWriter& RuleWriter::add_flow(const std::string& flowtable) {
  nftnl_expr_set_str(add("flow_offload"), NFTNL_EXPR_FLOW_TABLE_NAME, flowtable.c_str());
  return *this;
}

RuleWriter& RuleWriter::limit(std::uint64_t per_second) {
  nftnl_expr* expression = add("limit");
  nftnl_expr_set_u64(expression, NFTNL_EXPR_LIMIT_RATE, per_second);
  nftnl_expr_set_u64(expression, NFTNL_EXPR_LIMIT_UNIT, one_second);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_LIMIT_BURST, static_cast<std::uint32_t>(per_second));
  nftnl_expr_set_u32(expression, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_LIMIT_FLAGS, 0);
  return *this;
}

RuleWriter& RuleWriter::log(std::uint16_t group, const char* prefix) {
  nftnl_expr* expression = add("log");
  nftnl_expr_set_str(expression, NFTNL_EXPR_LOG_PREFIX, prefix);
  nftnl_expr_set_u16(expression, NFTNL_EXPR_LOG_GROUP, group);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_LOG_SNAPLEN, logged_bytes);
  nftnl_expr_set_u16(expression, NFTNL_EXPR_LOG_QTHRESHOLD, log_immediately);
  return *this;
}

RuleWriter& RuleWriter::look_up(const std::string& set, std::optional<std::uint32_t> into, std::uint32_t flags) {
  nftnl_expr* expression = add("lookup");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_LOOKUP_SREG, reg(0));
  nftnl_expr_set_str(expression, NFTNL_EXPR_LOOKUP_SET, set.c_str());
  nftnl_expr_set_u32(expression, NFTNL_EXPR_LOOKUP_FLAGS, flags); // a dump always has them
  if (into) nftnl_expr_set_u32(expression, NFTNL_EXPR_LOOKUP_DREG, *into);
  return *this;
}
RuleWriter& RuleWriter::in_set(const std::string& set) { return look_up(set, std::nullopt); }
RuleWriter& RuleWriter::not_in_set(const std::string& set) { return look_up(set, std::nullopt, NFT_LOOKUP_F_INV); }
RuleWriter& RuleWriter::in_verdict_map(const std::string& map) { return look_up(map, NFT_REG_VERDICT); }
RuleWriter& RuleWriter::from_map(const std::string& map) { return look_up(map, reg(0)); }

RuleWriter& RuleWriter::add_to_set(const std::string& set) { return put_into_set(set, NFT_DYNSET_OP_ADD); }
RuleWriter& RuleWriter::update_set(const std::string& set) { return put_into_set(set, NFT_DYNSET_OP_UPDATE); }
RuleWriter& RuleWriter::delete_from_set(const std::string& set) { return put_into_set(set, NFT_DYNSET_OP_DELETE); }

RuleWriter& RuleWriter::over_limit_in_set(const std::string& set, std::uint64_t per_minute, std::uint32_t burst) {
  constexpr std::uint64_t one_minute = 60;
  nftnl_expr* limit = made(nftnl_expr_alloc("limit"));
  nftnl_expr_set_u64(limit, NFTNL_EXPR_LIMIT_RATE, per_minute);
  nftnl_expr_set_u64(limit, NFTNL_EXPR_LIMIT_UNIT, one_minute);
  nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_BURST, burst);
  nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
  nftnl_expr_set_u32(limit, NFTNL_EXPR_LIMIT_FLAGS, NFT_LIMIT_F_INV);
  return put_into_set(set, NFT_DYNSET_OP_UPDATE, limit);
}

RuleWriter& RuleWriter::put_into_set(const std::string& set, std::uint32_t operation, nftnl_expr* counted) {
  nftnl_expr* expression = add("dynset");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_DYNSET_SREG_KEY, reg(0));
  nftnl_expr_set_u32(expression, NFTNL_EXPR_DYNSET_OP, operation);
  nftnl_expr_set_u64(expression, NFTNL_EXPR_DYNSET_TIMEOUT, 0); // 0: the set's own; a dump always has it
  nftnl_expr_set_str(expression, NFTNL_EXPR_DYNSET_SET_NAME, set.c_str());
  if (counted != nullptr) nftnl_expr_set(expression, NFTNL_EXPR_DYNSET_EXPR, counted, 0); // freed with it
  return *this;
}

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

// The kernel would set the ends of the ranges and the flags itself. Written out, a rule dumps as it was written.
RuleWriter& RuleWriter::nat(std::uint32_t type, Family family, std::optional<PortRegisters> ports, std::uint32_t flags) {
  nftnl_expr* expression = add("nat");
  nftnl_expr_set_u32(expression, NFTNL_EXPR_NAT_TYPE, type);
  nftnl_expr_set_u32(expression, NFTNL_EXPR_NAT_FAMILY, nfproto(family));
  nftnl_expr_set_u32(expression, NFTNL_EXPR_NAT_REG_ADDR_MIN, reg(0));
  nftnl_expr_set_u32(expression, NFTNL_EXPR_NAT_REG_ADDR_MAX, reg(0));
  if (ports) nftnl_expr_set_u32(expression, NFTNL_EXPR_NAT_REG_PROTO_MIN, reg(ports->first_port));
  if (ports) nftnl_expr_set_u32(expression, NFTNL_EXPR_NAT_REG_PROTO_MAX, reg(ports->last_port));
  nftnl_expr_set_u32(expression, NFTNL_EXPR_NAT_FLAGS, NF_NAT_RANGE_MAP_IPS | (ports ? NF_NAT_RANGE_PROTO_SPECIFIED : 0U) | flags);
  return *this;
}

RuleWriter& RuleWriter::dnat_address(Family family) { return nat(NFT_NAT_DNAT, family, std::nullopt, 0); }

RuleWriter& RuleWriter::dnat(Family family) {
  const unsigned port = registers_of(family); // after the address
  return nat(NFT_NAT_DNAT, family, PortRegisters{port, port}, 0);
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
  const unsigned ports = registers_of(family); // after the address
  load_ports(first_port, last_port, ports);
  return nat(NFT_NAT_SNAT, family, PortRegisters{ports, ports + 1}, NF_NAT_RANGE_PROTO_RANDOM_FULLY);
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
      const_cast<nftnl_rule*>(&rule), // only read by libnftnl
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
