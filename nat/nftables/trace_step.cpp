// libnftnl parses the attributes; the headers are parsed here.
#include "nat/nftables/trace_step.hpp"

#include <memory>

#include <libmnl/libmnl.h>
#include <libnftnl/trace.h>
#include <netinet/in.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "nat/nftables/handles.hpp"
#include "nat/nftables/request.hpp"

namespace hanat::nat {
namespace {

using TracePtr = std::unique_ptr<nftnl_trace, Releaser<nftnl_trace_free>>;

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

/// The form that nf_tables gives an attribute; MNL_TYPE_UNSPEC: any bytes.
mnl_attr_data_type form_of(std::uint16_t attribute) {
  switch (attribute) {
  case NFTA_TRACE_TABLE:
  case NFTA_TRACE_CHAIN: return MNL_TYPE_NUL_STRING;
  case NFTA_TRACE_RULE_HANDLE: return MNL_TYPE_U64;
  case NFTA_TRACE_VERDICT: return MNL_TYPE_NESTED;
  case NFTA_TRACE_IIFTYPE:
  case NFTA_TRACE_OIFTYPE: return MNL_TYPE_U16;
  case NFTA_TRACE_ID:
  case NFTA_TRACE_TYPE:
  case NFTA_TRACE_IIF:
  case NFTA_TRACE_OIF:
  case NFTA_TRACE_MARK:
  case NFTA_TRACE_NFPROTO:
  case NFTA_TRACE_POLICY: return MNL_TYPE_U32;
  default: return MNL_TYPE_UNSPEC;
  }
}

/// Which attributes there are; each is of its form.
struct Seen {
  bool id = false, type = false, code = false;
};

int see_verdict(const nlattr* part, void* seen) {
  const std::uint16_t type = mnl_attr_get_type(part);
  if (type == NFTA_VERDICT_CODE) static_cast<Seen*>(seen)->code = true;
  const auto form = type == NFTA_VERDICT_CODE ? MNL_TYPE_U32 : type == NFTA_VERDICT_CHAIN ? MNL_TYPE_NUL_STRING : MNL_TYPE_UNSPEC;
  return form != MNL_TYPE_UNSPEC && mnl_attr_validate(part, form) < 0 ? MNL_CB_ERROR : MNL_CB_OK;
}

int see(const nlattr* attribute, void* seen) {
  auto& all = *static_cast<Seen*>(seen);
  const std::uint16_t type = mnl_attr_get_type(attribute);
  const auto form = form_of(type);
  if (form != MNL_TYPE_UNSPEC && mnl_attr_validate(attribute, form) < 0) return MNL_CB_ERROR;
  if (type == NFTA_TRACE_VERDICT && (mnl_attr_parse_nested(attribute, see_verdict, seen) < 0 || !all.code)) return MNL_CB_ERROR;
  all.id |= type == NFTA_TRACE_ID;
  all.type |= type == NFTA_TRACE_TYPE;
  return MNL_CB_OK;
}

/// libnftnl ends the process where a report lacks something or has another form.
bool is_well_formed(const nlmsghdr& message) {
  Seen seen;
  return mnl_attr_parse(&message, sizeof(nfgenmsg), see, &seen) >= 0 && seen.id && seen.type;
}

std::span<const std::uint8_t> bytes_in(const nftnl_trace& trace, std::uint16_t attribute) {
  if (!nftnl_trace_is_set(&trace, attribute)) return {};
  std::uint32_t length = 0;
  const auto* bytes = static_cast<const std::uint8_t*>(nftnl_trace_get_data(&trace, attribute, &length));
  if (bytes == nullptr) return {};
  return {bytes, length};
}

std::uint32_t number_in(const nftnl_trace& trace, std::uint16_t attribute) {
  return nftnl_trace_is_set(&trace, attribute) ? nftnl_trace_get_u32(&trace, attribute) : 0;
}

std::string text_in(const nftnl_trace& trace, std::uint16_t attribute) {
  const char* text = nftnl_trace_is_set(&trace, attribute) ? nftnl_trace_get_str(&trace, attribute) : nullptr;
  return text == nullptr ? std::string{} : std::string{text};
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
  if (!is_well_formed(message)) return std::nullopt;
  const auto trace = made(TracePtr{nftnl_trace_alloc()});
  if (nftnl_trace_nlmsg_parse(&message, trace.get()) != 0) return std::nullopt;
  const auto family = to_table_family(number_in(*trace, NFTNL_TRACE_FAMILY));
  const auto kind = to_trace_kind(number_in(*trace, NFTNL_TRACE_TYPE));
  const bool by_policy = kind == TraceKind::policy;
  const auto verdict = to_trace_verdict(number_in(*trace, by_policy ? NFTNL_TRACE_POLICY : NFTNL_TRACE_VERDICT));
  if (!family || !kind || !verdict || !nftnl_trace_is_set(trace.get(), NFTNL_TRACE_ID)) return std::nullopt;
  TraceStep step{.packet = number_in(*trace, NFTNL_TRACE_ID),
                 .family = *family,
                 .table = text_in(*trace, NFTNL_TRACE_TABLE),
                 .chain = text_in(*trace, NFTNL_TRACE_CHAIN),
                 .kind = *kind,
                 .verdict = *verdict,
                 .target = text_in(*trace, NFTNL_TRACE_JUMP_TARGET),
                 .mark = number_in(*trace, NFTNL_TRACE_MARK),
                 .iif = {},
                 .oif = {}};
  if (step.table.empty() || step.chain.empty()) return std::nullopt;
  if (nftnl_trace_is_set(trace.get(), NFTNL_TRACE_RULE_HANDLE))
    step.rule_handle = nftnl_trace_get_u64(trace.get(), NFTNL_TRACE_RULE_HANDLE);
  // At the end of a chain the kernel reports a rule without a handle, which is none.
  if (step.kind == TraceKind::rule && step.rule_handle == 0 && step.verdict == TraceVerdict::next) step.kind = TraceKind::chain_return;
  interfaces = {.iif = number_in(*trace, NFTNL_TRACE_IIF), .oif = number_in(*trace, NFTNL_TRACE_OIF)};
  step.header = traced_header_in(bytes_in(*trace, NFTNL_TRACE_NETWORK_HEADER), bytes_in(*trace, NFTNL_TRACE_TRANSPORT_HEADER));
  return step;
}

} // namespace hanat::nat
