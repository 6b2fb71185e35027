// A rule as text, from the netlink attributes that the kernel gets: independent of libnftnl's printer, which differs between versions.
// Attributes that have no name here are printed by number, so that nothing is left out. Not here: what the rules should be (layout_test).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <libmnl/libmnl.h>

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "nat/nftables/comment.hpp"
#include "nat/nftables/handles.hpp"

namespace hanat::test {

struct AttributeName {
  std::uint16_t type;
  const char* name;
  std::map<std::uint64_t, const char*> values{}; // names of numbers; others are printed as numbers
  bool text = false;
};

inline const std::map<std::uint64_t, const char*> operations{{NFT_CMP_EQ, "=="},  {NFT_CMP_NEQ, "!="}, {NFT_CMP_LT, "<"},
                                                             {NFT_CMP_LTE, "<="}, {NFT_CMP_GT, ">"},   {NFT_CMP_GTE, ">="}};

/// The expressions of hanat's rules.
inline const std::map<std::string, std::vector<AttributeName>>& expression_names() {
  static const std::map<std::uint64_t, const char*> meta{{NFT_META_MARK, "mark"},       {NFT_META_SKUID, "skuid"},
                                                         {NFT_META_IIF, "iif"},         {NFT_META_OIF, "oif"},
                                                         {NFT_META_NFPROTO, "nfproto"}, {NFT_META_L4PROTO, "l4proto"}};
  static const std::map<std::uint64_t, const char*> ct{
      {NFT_CT_STATE, "state"},     {NFT_CT_DIRECTION, "direction"}, {NFT_CT_STATUS, "status"}, {NFT_CT_PROTOCOL, "protocol"},
      {NFT_CT_PROTO_SRC, "sport"}, {NFT_CT_PROTO_DST, "dport"},     {NFT_CT_SRC_IP, "saddr4"}, {NFT_CT_DST_IP, "daddr4"},
      {NFT_CT_SRC_IP6, "saddr6"},  {NFT_CT_DST_IP6, "daddr6"}};
  static const std::map<std::string, std::vector<AttributeName>> names{
      {"payload",
       {{NFTA_PAYLOAD_BASE, "base", {{NFT_PAYLOAD_NETWORK_HEADER, "network"}, {NFT_PAYLOAD_TRANSPORT_HEADER, "transport"}}},
        {NFTA_PAYLOAD_OFFSET, "offset"},
        {NFTA_PAYLOAD_LEN, "len"},
        {NFTA_PAYLOAD_DREG, "to"}}},
      {"meta", {{NFTA_META_KEY, "key", meta}, {NFTA_META_DREG, "to"}, {NFTA_META_SREG, "from"}}},
      {"ct", {{NFTA_CT_KEY, "key", ct}, {NFTA_CT_DIRECTION, "dir", {{0, "original"}, {1, "reply"}}}, {NFTA_CT_DREG, "to"}}},
      {"cmp", {{NFTA_CMP_SREG, "from"}, {NFTA_CMP_OP, "op", operations}, {NFTA_CMP_DATA, "data"}}},
      {"bitwise",
       {{NFTA_BITWISE_SREG, "from"},
        {NFTA_BITWISE_DREG, "to"},
        {NFTA_BITWISE_LEN, "len"},
        {NFTA_BITWISE_MASK, "mask"},
        {NFTA_BITWISE_XOR, "xor"}}},
      {"lookup", {{NFTA_LOOKUP_SREG, "from"}, {NFTA_LOOKUP_SET, "set", {}, true}, {NFTA_LOOKUP_DREG, "to"}, {NFTA_LOOKUP_FLAGS, "flags"}}},
      {"dynset",
       {{NFTA_DYNSET_OP, "op", {{NFT_DYNSET_OP_ADD, "add"}, {NFT_DYNSET_OP_UPDATE, "update"}}},
        {NFTA_DYNSET_SREG_KEY, "from"},
        {NFTA_DYNSET_SET_NAME, "set", {}, true},
        {NFTA_DYNSET_TIMEOUT, "timeout"}}},
      {"immediate", {{NFTA_IMMEDIATE_DREG, "to"}, {NFTA_IMMEDIATE_DATA, "data"}}},
      {"reject",
       {{NFTA_REJECT_TYPE, "type", {{NFT_REJECT_TCP_RST, "tcp-reset"}, {NFT_REJECT_ICMPX_UNREACH, "icmpx"}}},
        {NFTA_REJECT_ICMP_CODE, "code"}}},
      {"nat",
       {{NFTA_NAT_TYPE, "type", {{NFT_NAT_SNAT, "snat"}, {NFT_NAT_DNAT, "dnat"}}},
        {NFTA_NAT_FAMILY, "family"},
        {NFTA_NAT_REG_ADDR_MIN, "addr"},
        {NFTA_NAT_REG_ADDR_MAX, "addr-max"},
        {NFTA_NAT_REG_PROTO_MIN, "port"},
        {NFTA_NAT_REG_PROTO_MAX, "port-max"},
        {NFTA_NAT_FLAGS, "flags"}}},
      {"masq", {{NFTA_MASQ_FLAGS, "flags"}, {NFTA_MASQ_REG_PROTO_MIN, "port"}, {NFTA_MASQ_REG_PROTO_MAX, "port-max"}}},
      {"limit",
       {{NFTA_LIMIT_RATE, "rate"},
        {NFTA_LIMIT_UNIT, "per"},
        {NFTA_LIMIT_BURST, "burst"},
        {NFTA_LIMIT_TYPE, "type"},
        {NFTA_LIMIT_FLAGS, "flags"}}},
      {"log",
       {{NFTA_LOG_PREFIX, "prefix", {}, true},
        {NFTA_LOG_GROUP, "group"},
        {NFTA_LOG_SNAPLEN, "snaplen"},
        {NFTA_LOG_QTHRESHOLD, "qthreshold"}}},
      {"socket", {{NFTA_SOCKET_KEY, "key"}, {NFTA_SOCKET_DREG, "to"}}},
      {"notrack", {}},
      {"flow_offload", {{NFTA_FLOW_TABLE_NAME, "flowtable", {}, true}}},
  };
  return names;
}

using Bytes = std::span<const std::uint8_t>;
struct RawAttribute {
  std::uint16_t type = 0;
  bool nested = false;
  Bytes payload;
};

inline std::vector<RawAttribute> attributes_in(Bytes bytes) {
  std::vector<RawAttribute> found;
  while (bytes.size() >= sizeof(nlattr)) {
    const auto* attribute = reinterpret_cast<const nlattr*>(bytes.data());
    if (attribute->nla_len < sizeof(nlattr) || attribute->nla_len > bytes.size()) break;
    found.push_back({.type = static_cast<std::uint16_t>(attribute->nla_type & NLA_TYPE_MASK),
                     .nested = (attribute->nla_type & NLA_F_NESTED) != 0,
                     .payload = bytes.subspan(sizeof(nlattr), attribute->nla_len - sizeof(nlattr))});
    bytes = bytes.subspan(std::min<std::size_t>((attribute->nla_len + std::size_t{3}) & ~std::size_t{3}, bytes.size()));
  }
  return found;
}

inline std::string text_in(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.empty() ? 0 : bytes.size() - 1}; }
inline std::uint64_t number_in(Bytes bytes) {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : bytes) value = value << 8U | byte;
  return value;
}
inline std::string hex(Bytes bytes) {
  std::string text = "0x";
  for (const std::uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

/// A value, or a verdict with its chain.
inline std::string data_text(Bytes bytes) {
  static const std::map<int, const char*> codes{{0, "drop"}, {1, "accept"}, {NFT_JUMP, "jump"}, {NFT_GOTO, "goto"}, {NFT_RETURN, "return"}};
  std::string text;
  for (const RawAttribute& attribute : attributes_in(bytes)) {
    if (attribute.type == NFTA_DATA_VALUE) text += hex(attribute.payload);
    if (attribute.type != NFTA_DATA_VERDICT) continue;
    for (const RawAttribute& part : attributes_in(attribute.payload))
      text += part.type == NFTA_VERDICT_CODE ? codes.at(static_cast<int>(number_in(part.payload))) : " " + text_in(part.payload);
  }
  return text;
}

inline std::string value_text(const RawAttribute& attribute, const AttributeName& name) {
  if (attribute.nested) return data_text(attribute.payload);
  if (name.text) return '"' + text_in(attribute.payload) + '"';
  const std::uint64_t number = number_in(attribute.payload);
  const auto named = name.values.find(number);
  return named == name.values.end() ? fmt::format("{}", number) : named->second;
}

inline std::string expression_text(const std::string& expression, Bytes data) {
  std::string text = "  " + expression;
  std::vector<RawAttribute> left = attributes_in(data);
  for (const AttributeName& name : expression_names().at(expression)) {
    const auto found = std::ranges::find(left, name.type, &RawAttribute::type);
    if (found == left.end()) continue;
    text += fmt::format(" {} {}", name.name, value_text(*found, name));
    left.erase(found);
  }
  for (const RawAttribute& attribute : left) text += fmt::format(" #{} {}", attribute.type, hex(attribute.payload));
  return text + "\n";
}

inline std::string rule_comment(const nftnl_rule& rule) {
  std::uint32_t length = 0;
  const void* data = nftnl_rule_get_data(&rule, NFTNL_RULE_USERDATA, &length);
  return nat::comment_in(data, length);
}

/// The comment, and a line for each expression.
inline std::string rule_text(const nftnl_rule& rule) {
  std::array<std::uint8_t, 8192> message{};
  nlmsghdr* header = mnl_nlmsg_put_header(message.data());
  mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg));
  nftnl_rule_nlmsg_build_payload(header, const_cast<nftnl_rule*>(&rule)); // only read by libnftnl
  std::string text = rule_comment(rule) + "\n";
  const auto* payload = static_cast<const std::uint8_t*>(mnl_nlmsg_get_payload_offset(header, sizeof(nfgenmsg)));
  for (const RawAttribute& attribute : attributes_in({payload, mnl_nlmsg_get_payload_len(header) - sizeof(nfgenmsg)})) {
    if (attribute.type != NFTA_RULE_EXPRESSIONS) continue;
    for (const RawAttribute& element : attributes_in(attribute.payload)) {
      std::string name;
      Bytes data;
      for (const RawAttribute& part : attributes_in(element.payload)) {
        if (part.type == NFTA_EXPR_NAME) name = text_in(part.payload);
        if (part.type == NFTA_EXPR_DATA) data = part.payload;
      }
      text += expression_text(name, data);
    }
  }
  return text;
}

} // namespace hanat::test
