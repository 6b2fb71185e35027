// Reads the attributes with libmnl: libnftnl ends the process at a message that it does not understand.
#include "nat/nftables/trace_step.hpp"

#include <array>

#include <arpa/inet.h>
#include <endian.h>
#include <libmnl/libmnl.h>
#include <netinet/in.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "nat/nftables/request.hpp"

namespace hanat::nat {
namespace {

std::uint16_t big_endian_at(std::span<const std::uint8_t> bytes, std::size_t offset) {
  return static_cast<std::uint16_t>(bytes[offset] << 8 | bytes[offset + 1]);
}

std::optional<TraceVerdict> to_trace_verdict(std::uint32_t number) {
  switch (static_cast<std::int32_t>(number)) {
  case NFT_CONTINUE:
  case NFT_BREAK: return TraceVerdict::next;
  case NFT_JUMP: return TraceVerdict::jump;
  case NFT_GOTO: return TraceVerdict::go_to;
  case NFT_RETURN: return TraceVerdict::back;
  default: break;
  }
  switch (number & NF_VERDICT_MASK) {
  case NF_ACCEPT: return TraceVerdict::accept;
  case NF_DROP: return TraceVerdict::drop;
  case NF_STOLEN: return TraceVerdict::stolen;
  case NF_QUEUE: return TraceVerdict::queue;
  default: return std::nullopt;
  }
}

std::optional<TraceKind> to_trace_kind(std::uint32_t number) {
  switch (number) {
  case NFT_TRACETYPE_RULE: return TraceKind::rule;
  case NFT_TRACETYPE_RETURN: return TraceKind::chain_return;
  case NFT_TRACETYPE_POLICY: return TraceKind::policy;
  default: return std::nullopt;
  }
}

/// Attributes by their type; null: none.
template <std::size_t size> using Attributes = std::array<const nlattr*, size>;

template <std::size_t size> int take_trace_attribute(const nlattr* attribute, void* data) {
  auto& attributes = *static_cast<Attributes<size>*>(data);
  if (const std::size_t type = mnl_attr_get_type(attribute); type < size) attributes[type] = attribute;
  return MNL_CB_OK;
}

std::span<const std::uint8_t> bytes_in(const nlattr* attribute) {
  if (attribute == nullptr) return {};
  return {static_cast<const std::uint8_t*>(mnl_attr_get_payload(attribute)), mnl_attr_get_payload_len(attribute)};
}

std::uint32_t number_in(const nlattr* attribute) {
  return attribute != nullptr && mnl_attr_validate(attribute, MNL_TYPE_U32) >= 0 ? ntohl(mnl_attr_get_u32(attribute)) : 0;
}

std::string text_in(const nlattr* attribute) {
  return attribute != nullptr && mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) >= 0 ? mnl_attr_get_str(attribute) : std::string{};
}

} // namespace

std::string_view to_text(TableFamily family) {
  switch (family) {
  case TableFamily::inet: return "inet";
  case TableFamily::ip: return "ip";
  case TableFamily::arp: return "arp";
  case TableFamily::netdev: return "netdev";
  case TableFamily::bridge: return "bridge";
  case TableFamily::ip6: return "ip6";
  }
  return {};
}

std::optional<TableFamily> to_table_family(std::uint32_t number) {
  switch (number) {
  case NFPROTO_INET: return TableFamily::inet;
  case NFPROTO_IPV4: return TableFamily::ip;
  case NFPROTO_ARP: return TableFamily::arp;
  case NFPROTO_NETDEV: return TableFamily::netdev;
  case NFPROTO_BRIDGE: return TableFamily::bridge;
  case NFPROTO_IPV6: return TableFamily::ip6;
  default: return std::nullopt;
  }
}

std::optional<TracedHeader> traced_header_in(std::span<const std::uint8_t> network, std::span<const std::uint8_t> transport) {
  if (network.empty()) return std::nullopt;
  TracedHeader header;
  if (const unsigned version = network[0] >> 4; version == 4 && network.size() >= 20) {
    header.protocol = network[9];
    header.from.address = Address::from_bytes(network.subspan(12, 4));
    header.to.address = Address::from_bytes(network.subspan(16, 4));
  } else if (version == 6 && network.size() >= 40) {
    header.protocol = network[6];
    header.from.address = Address::from_bytes(network.subspan(8, 16));
    header.to.address = Address::from_bytes(network.subspan(24, 16));
  } else {
    return std::nullopt;
  }
  const bool has_ports = header.protocol == IPPROTO_TCP || header.protocol == IPPROTO_UDP || header.protocol == IPPROTO_SCTP;
  if (!has_ports || transport.size() < 4) return header;
  header.from.port = big_endian_at(transport, 0);
  header.to.port = big_endian_at(transport, 2);
  if (header.protocol == IPPROTO_TCP && transport.size() >= 14) header.tcp_flags = transport[13];
  return header;
}

std::optional<TraceStep> trace_step_in(const nlmsghdr& message, TraceInterfaces& interfaces) {
  if (message.nlmsg_type != nft_type(NFT_MSG_TRACE) || mnl_nlmsg_get_payload_len(&message) < sizeof(nfgenmsg)) return std::nullopt;
  Attributes<NFTA_TRACE_MAX + 1> found{};
  mnl_attr_parse(&message, sizeof(nfgenmsg), take_trace_attribute<found.size()>, &found);
  Attributes<NFTA_VERDICT_MAX + 1> nested{};
  if (found[NFTA_TRACE_VERDICT] != nullptr && mnl_attr_validate(found[NFTA_TRACE_VERDICT], MNL_TYPE_NESTED) >= 0)
    mnl_attr_parse_nested(found[NFTA_TRACE_VERDICT], take_trace_attribute<nested.size()>, &nested);
  const auto family = to_table_family(static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(&message))->nfgen_family);
  const auto kind = to_trace_kind(number_in(found[NFTA_TRACE_TYPE]));
  const bool by_policy = kind == TraceKind::policy;
  const nlattr* decided = by_policy ? found[NFTA_TRACE_POLICY] : nested[NFTA_VERDICT_CODE];
  if (!family || !kind || found[NFTA_TRACE_ID] == nullptr || decided == nullptr || mnl_attr_validate(decided, MNL_TYPE_U32) < 0)
    return std::nullopt;
  const auto verdict = to_trace_verdict(number_in(decided));
  if (!verdict) return std::nullopt;
  TraceStep step{.packet = number_in(found[NFTA_TRACE_ID]),
                 .family = *family,
                 .table = text_in(found[NFTA_TRACE_TABLE]),
                 .chain = text_in(found[NFTA_TRACE_CHAIN]),
                 .kind = *kind,
                 .verdict = *verdict,
                 .target = text_in(nested[NFTA_VERDICT_CHAIN]),
                 .mark = number_in(found[NFTA_TRACE_MARK]),
                 .iif = {},
                 .oif = {}};
  if (step.table.empty() || step.chain.empty()) return std::nullopt;
  if (const nlattr* handle = found[NFTA_TRACE_RULE_HANDLE]; handle != nullptr && mnl_attr_validate(handle, MNL_TYPE_U64) >= 0)
    step.rule_handle = be64toh(mnl_attr_get_u64(handle));
  // At the end of a chain the kernel reports a rule without a handle, which is none.
  if (step.kind == TraceKind::rule && step.rule_handle == 0 && step.verdict == TraceVerdict::next) step.kind = TraceKind::chain_return;
  interfaces = {.iif = number_in(found[NFTA_TRACE_IIF]), .oif = number_in(found[NFTA_TRACE_OIF])};
  step.header = traced_header_in(bytes_in(found[NFTA_TRACE_NETWORK_HEADER]), bytes_in(found[NFTA_TRACE_TRANSPORT_HEADER]));
  return step;
}

} // namespace hanat::nat
