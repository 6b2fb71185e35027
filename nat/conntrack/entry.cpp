// Reads the attributes of nfnetlink_conntrack.
#include "nat/conntrack/entry.hpp"

#include <algorithm>
#include <array>
#include <span>

#include <netinet/in.h>

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

namespace hanat::nat {
namespace {

constexpr std::uint16_t type_mask = 0x3fff; // without the bits for nesting and byte order

template <std::size_t size> using Attributes = std::array<const nlattr*, size>;

/// The attributes of a message or a nest, by type. Not with mnl_attr_parse: a dump has hundreds of thousands of messages, and the library's
/// call for each attribute took a fifth of the time.
template <std::size_t size> Attributes<size> attributes(std::span<const std::uint8_t> bytes) {
  Attributes<size> found{};
  while (bytes.size() >= sizeof(nlattr)) {
    const auto* attribute = reinterpret_cast<const nlattr*>(bytes.data());
    if (attribute->nla_len < sizeof(nlattr) || attribute->nla_len > bytes.size()) break;
    const std::size_t type = attribute->nla_type & type_mask;
    if (type < size) found[type] = attribute;
    bytes = bytes.subspan(std::min<std::size_t>((attribute->nla_len + std::size_t{3}) & ~std::size_t{3}, bytes.size()));
  }
  return found;
}

std::span<const std::uint8_t> payload(const nlattr& attribute) {
  return {reinterpret_cast<const std::uint8_t*>(&attribute) + sizeof(nlattr), attribute.nla_len - sizeof(nlattr)};
}

/// The bytes after the netfilter header of a message.
std::span<const std::uint8_t> body(const nlmsghdr& message) {
  constexpr std::size_t head = sizeof(nlmsghdr) + sizeof(nfgenmsg);
  if (message.nlmsg_len < head) return {};
  return {reinterpret_cast<const std::uint8_t*>(&message) + head, message.nlmsg_len - head};
}

template <std::size_t size> Attributes<size> nested(const nlattr* parent) { return attributes<size>(payload(*parent)); }

template <typename Number> std::optional<Number> number(const nlattr* attribute) { // network order
  if (attribute == nullptr || payload(*attribute).size() != sizeof(Number)) return std::nullopt;
  Number value{};
  for (const std::uint8_t byte : payload(*attribute)) value = static_cast<Number>((value << 8) | byte);
  return value;
}

std::optional<Address> address(const nlattr* v4, const nlattr* v6) {
  if (v4 != nullptr && payload(*v4).size() == 4) return Address::from_bytes(payload(*v4));
  if (v6 != nullptr && payload(*v6).size() == 16) return Address::from_bytes(payload(*v6));
  return std::nullopt;
}

std::optional<Protocol> protocol_of(const nlattr* attribute) {
  if (attribute == nullptr || payload(*attribute).size() != 1) return std::nullopt;
  switch (payload(*attribute).front()) {
  case IPPROTO_TCP: return Protocol::tcp;
  case IPPROTO_UDP: return Protocol::udp;
  case IPPROTO_SCTP: return Protocol::sctp;
  default: return std::nullopt; // a number from a message, not an enum
  }
}

std::optional<Tuple> parse_tuple(const nlattr* attribute) {
  if (attribute == nullptr) return std::nullopt;
  const auto parts = nested<CTA_TUPLE_MAX + 1>(attribute);
  if (parts[CTA_TUPLE_IP] == nullptr || parts[CTA_TUPLE_PROTO] == nullptr) return std::nullopt;
  const auto ports = nested<CTA_PROTO_MAX + 1>(parts[CTA_TUPLE_PROTO]);
  const auto protocol = protocol_of(ports[CTA_PROTO_NUM]);
  const auto source_port = number<std::uint16_t>(ports[CTA_PROTO_SRC_PORT]);
  const auto destination_port = number<std::uint16_t>(ports[CTA_PROTO_DST_PORT]);
  if (!protocol || !source_port || !destination_port) return std::nullopt;
  const auto addresses = nested<CTA_IP_MAX + 1>(parts[CTA_TUPLE_IP]);
  const auto source = address(addresses[CTA_IP_V4_SRC], addresses[CTA_IP_V6_SRC]);
  const auto destination = address(addresses[CTA_IP_V4_DST], addresses[CTA_IP_V6_DST]);
  if (!source || !destination || source->family() != destination->family()) return std::nullopt;
  return Tuple{.protocol = *protocol,
               .source = {.address = *source, .port = *source_port},
               .destination = {.address = *destination, .port = *destination_port}};
}

} // namespace

std::optional<std::uint32_t> parse_entry_counter(const nlmsghdr& message) {
  if (message.nlmsg_type != ((NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_GET_STATS)) return std::nullopt;
  const auto bytes = body(message);
  return number<std::uint32_t>(attributes<CTA_STATS_GLOBAL_MAX + 1>(bytes)[CTA_STATS_GLOBAL_ENTRIES]);
}

std::optional<FlowTuples> parse_flow(std::span<const std::uint8_t> bytes) {
  const auto parts = attributes<CTA_MAX + 1>(bytes);
  const auto original = parse_tuple(parts[CTA_TUPLE_ORIG]);
  const auto reply = parse_tuple(parts[CTA_TUPLE_REPLY]);
  if (!original || !reply || original->protocol != reply->protocol) return std::nullopt;
  return FlowTuples{.original = *original, .reply = *reply, .zone = number<std::uint16_t>(parts[CTA_ZONE]).value_or(0)};
}

std::optional<Entry> parse_entry(const nlmsghdr& message) {
  if (message.nlmsg_type != ((NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_NEW)) return std::nullopt;
  const auto parts = attributes<CTA_MAX + 1>(body(message));
  const auto original = parse_tuple(parts[CTA_TUPLE_ORIG]);
  const auto reply = parse_tuple(parts[CTA_TUPLE_REPLY]);
  if (!original || !reply || original->protocol != reply->protocol) return std::nullopt;
  const Endpoint& vip = original->destination;
  return Entry{.mapping = {.vip = {.address = vip.address, .protocol = original->protocol, .port = vip.port}, .server = reply->source},
               .client = original->source,
               .reply_to = reply->destination,
               .mark = number<std::uint32_t>(parts[CTA_MARK]).value_or(0),
               .reply = parts[CTA_TUPLE_REPLY],
               .zone = parts[CTA_ZONE],
               .id = parts[CTA_ID],
               .status = parts[CTA_STATUS],
               .protocol_info = parts[CTA_PROTOINFO],
               .master = parts[CTA_TUPLE_MASTER],
               .reply_counters = parts[CTA_COUNTERS_REPLY]};
}

bool has_reply_data(const Entry& entry) {
  if (entry.mapping.vip.protocol != Protocol::tcp || entry.reply_counters == nullptr) return false;
  const auto counters = nested<CTA_COUNTERS_MAX + 1>(entry.reply_counters);
  const auto packets = number<std::uint64_t>(counters[CTA_COUNTERS_PACKETS]), bytes = number<std::uint64_t>(counters[CTA_COUNTERS_BYTES]);
  if (!packets || !bytes || *packets < 2) return false; // the first is a SYN ACK
  const std::uint64_t address = entry.client.address.family() == Family::ipv4 ? 20 : 40, syn_ack = address + 40, others = address + 32;
  return *bytes > syn_ack && (*bytes - syn_ack - 1) / others >= *packets - 1; // the headers with time stamps
}

bool is_replied(const Entry& entry) { return (number<std::uint32_t>(entry.status).value_or(0) & IPS_SEEN_REPLY) != 0; }

bool is_offloaded(const Entry& entry) { return (number<std::uint32_t>(entry.status).value_or(0) & (IPS_OFFLOAD | IPS_HW_OFFLOAD)) != 0; }

std::optional<Mapping> mapping_opened_by_server(const Entry& entry) {
  if (entry.client.address == entry.reply_to.address) return std::nullopt;
  return Mapping{.vip = {.address = entry.reply_to.address, .protocol = entry.mapping.vip.protocol, .port = entry.reply_to.port},
                 .server = entry.client};
}

std::optional<Tuple> master_of(const Entry& entry) { return parse_tuple(entry.master); }

namespace {

/// nullopt: not TCP, or without the part that has it.
std::optional<std::uint8_t> tcp_state(const Entry& entry) {
  if (entry.mapping.vip.protocol != Protocol::tcp || entry.protocol_info == nullptr) return std::nullopt;
  const nlattr* const tcp = nested<CTA_PROTOINFO_MAX + 1>(entry.protocol_info)[CTA_PROTOINFO_TCP];
  if (tcp == nullptr) return std::nullopt;
  return number<std::uint8_t>(nested<CTA_PROTOINFO_TCP_MAX + 1>(tcp)[CTA_PROTOINFO_TCP_STATE]);
}

} // namespace

bool is_finished(const Entry& entry) { return tcp_state(entry) == TCP_CONNTRACK_TIME_WAIT; }

TcpPhase phase_of(const Entry& entry) {
  if (entry.mapping.vip.protocol != Protocol::tcp) return TcpPhase::closed;
  if (is_offloaded(entry)) return TcpPhase::established;   // without CTA_PROTOINFO and CTA_TIMEOUT
  switch (tcp_state(entry).value_or(TCP_CONNTRACK_NONE)) { // a number from a message, not an enum
  case TCP_CONNTRACK_SYN_SENT:
  case TCP_CONNTRACK_SYN_RECV:
  case TCP_CONNTRACK_SYN_SENT2: return TcpPhase::connecting;
  case TCP_CONNTRACK_ESTABLISHED:
  case TCP_CONNTRACK_FIN_WAIT:
  case TCP_CONNTRACK_CLOSE_WAIT: return TcpPhase::established;
  case TCP_CONNTRACK_CLOSE: { // assured: it was established
    const std::uint32_t status = number<std::uint32_t>(entry.status).value_or(IPS_ASSURED);
    return (status & IPS_ASSURED) != 0 ? TcpPhase::closed : TcpPhase::refused;
  }
  default: return TcpPhase::closed;
  }
}

std::string_view to_text(FlowState state) {
  switch (state) {
  case FlowState::opening: return "opening";
  case FlowState::established: return "established";
  case FlowState::closing: return "closing";
  case FlowState::answered: return "answered";
  case FlowState::unanswered: return "unanswered";
  }
  return "?";
}

FlowState state_of(const Entry& entry) {
  const std::uint32_t status = number<std::uint32_t>(entry.status).value_or(0);
  if (entry.mapping.vip.protocol != Protocol::tcp) return (status & IPS_SEEN_REPLY) != 0 ? FlowState::answered : FlowState::unanswered;
  if (is_offloaded(entry)) return FlowState::established;
  switch (tcp_state(entry).value_or(TCP_CONNTRACK_NONE)) { // a number from a message, not an enum
  case TCP_CONNTRACK_SYN_SENT:
  case TCP_CONNTRACK_SYN_RECV:
  case TCP_CONNTRACK_SYN_SENT2: return FlowState::opening;
  case TCP_CONNTRACK_ESTABLISHED: return FlowState::established;
  default: return FlowState::closing;
  }
}

} // namespace hanat::nat
