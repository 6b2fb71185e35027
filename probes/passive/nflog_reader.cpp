// Parses nflog messages. Logged packets are untrusted: every length is checked, and a malformed packet is no event.
#include "probes/passive/nflog_reader.hpp"

#include <algorithm>
#include <array>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <netinet/in.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>

#include "nat/marks.hpp"
#include "probes/io/watch_netlink.hpp"

namespace hanat::probes {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::uint8_t tcp_syn = 0x02, tcp_rst = 0x04, tcp_ack = 0x10;
constexpr std::uint8_t sctp_abort = 6; // the type of the first chunk

std::uint16_t word_at(Bytes bytes, std::size_t offset) { return static_cast<std::uint16_t>(bytes[offset] << 8 | bytes[offset + 1]); }

struct Packet {
  Address from, to;
  std::uint8_t protocol = 0;
  Bytes rest; // behind the IP header
};

std::optional<Packet> ipv4_in(Bytes bytes) {
  if (bytes.size() < 20 || bytes[0] >> 4 != 4) return std::nullopt;
  const std::size_t header = std::size_t{bytes[0] & 0xfU} * 4;
  if (header < 20 || header > bytes.size() || (word_at(bytes, 6) & 0x1fff) != 0) return std::nullopt; // a later fragment has no ports
  return Packet{.from = Address::from_bytes(bytes.subspan(12, 4)),
                .to = Address::from_bytes(bytes.subspan(16, 4)),
                .protocol = bytes[9],
                .rest = bytes.subspan(header)};
}

std::optional<Packet> ipv6_in(Bytes bytes) {
  if (bytes.size() < 40 || bytes[0] >> 4 != 6) return std::nullopt;
  Packet packet{.from = Address::from_bytes(bytes.subspan(8, 16)),
                .to = Address::from_bytes(bytes.subspan(24, 16)),
                .protocol = bytes[6],
                .rest = bytes.subspan(40)};
  while (packet.protocol == IPPROTO_HOPOPTS || packet.protocol == IPPROTO_ROUTING || packet.protocol == IPPROTO_DSTOPTS ||
         packet.protocol == IPPROTO_FRAGMENT) {
    if (packet.rest.size() < 8) return std::nullopt;
    const bool fragment = packet.protocol == IPPROTO_FRAGMENT;
    if (fragment && (word_at(packet.rest, 2) & 0xfff8) != 0) return std::nullopt;
    const std::size_t header = fragment ? 8 : (std::size_t{packet.rest[1]} + 1) * 8;
    if (header > packet.rest.size()) return std::nullopt;
    packet.protocol = packet.rest[0];
    packet.rest = packet.rest.subspan(header); // at least 8 bytes shorter each time
  }
  return packet;
}

std::optional<Packet> packet_in(Family family, Bytes bytes) { return family == Family::ipv4 ? ipv4_in(bytes) : ipv6_in(bytes); }

KernelEvent from_server(KernelEventKind kind, const Packet& packet) {
  return {.kind = kind,
          .server = Endpoint{.address = packet.from, .port = word_at(packet.rest, 0)},
          .client = Endpoint{.address = packet.to, .port = word_at(packet.rest, 2)}};
}

std::optional<KernelEvent> refused_in(const Packet& packet) {
  if (packet.rest.size() < 14) return std::nullopt;
  const bool reset = packet.protocol == IPPROTO_TCP && (packet.rest[13] & tcp_rst) != 0;
  const bool abort = packet.protocol == IPPROTO_SCTP && packet.rest[12] == sctp_abort;
  if (!reset && !abort) return std::nullopt;
  return from_server(KernelEventKind::refused, packet);
}

/// A client's SYN.
std::optional<KernelEvent> syn_in(KernelEventKind kind, const Packet& packet, const std::optional<nat::FlowTuples>& flow) {
  if (packet.protocol != IPPROTO_TCP || packet.rest.size() < 14) return std::nullopt;
  if ((packet.rest[13] & (tcp_syn | tcp_rst | tcp_ack)) != tcp_syn) return std::nullopt;
  return KernelEvent{.kind = kind,
                     .vip = Vip{.address = packet.to, .protocol = Protocol::tcp, .port = word_at(packet.rest, 2)},
                     .client = Endpoint{.address = packet.from, .port = word_at(packet.rest, 0)},
                     .sequence = std::uint32_t{word_at(packet.rest, 4)} << 16 | word_at(packet.rest, 6),
                     .zone = flow ? flow->zone : std::uint16_t{0}};
}

/// A server's SYN ACK.
std::optional<KernelEvent> answered_in(const Packet& packet) {
  if (packet.protocol != IPPROTO_TCP || packet.rest.size() < 14) return std::nullopt;
  if ((packet.rest[13] & (tcp_syn | tcp_rst | tcp_ack)) != (tcp_syn | tcp_ack)) return std::nullopt;
  return from_server(KernelEventKind::answered, packet);
}

/// The text of an ICMP or ICMPv6 destination unreachable; empty for a code that says nothing about the path.
std::string_view unreachable_text(Family family, std::uint8_t code) {
  if (family == Family::ipv6) {
    constexpr std::array<std::string_view, 7> texts{"no route",         "prohibited",    "beyond scope", "address unreachable",
                                                    "port unreachable", "source policy", "reject route"};
    return code < texts.size() ? texts[code] : "unreachable";
  }
  switch (code) {
  case 0:
  case 6:
  case 11: return "network unreachable";
  case 2: return "protocol unreachable";
  case 3: return "port unreachable";
  case 4: return {}; // fragmentation needed: path MTU discovery at work
  case 9:
  case 10:
  case 13: return "prohibited";
  default: return "host unreachable";
  }
}

std::optional<Protocol> protocol_in(std::uint8_t number) {
  for (const Protocol protocol : {Protocol::tcp, Protocol::udp, Protocol::sctp})
    if (number == static_cast<std::uint8_t>(protocol)) return protocol;
  return std::nullopt;
}

std::optional<KernelEvent> unreachable_in(Family family, const Packet& packet) {
  const bool v4 = family == Family::ipv4;
  constexpr std::uint8_t icmp = 1, icmp_type = 3, icmpv6 = 58, icmpv6_type = 1;
  if (packet.protocol != (v4 ? icmp : icmpv6) || packet.rest.size() < 8) return std::nullopt;
  const std::string_view text = unreachable_text(family, packet.rest[1]);
  if (packet.rest[0] != (v4 ? icmp_type : icmpv6_type) || text.empty()) return std::nullopt;
  const auto quoted = packet_in(family, packet.rest.subspan(8));
  const auto protocol = quoted ? protocol_in(quoted->protocol) : std::nullopt;
  if (!protocol || quoted->rest.size() < 4) return std::nullopt;
  const std::uint16_t port = word_at(quoted->rest, 2);
  // Conntrack may have translated the quoted packet back already: its destination is the server or the VIP, and this code cannot tell.
  return KernelEvent{.kind = KernelEventKind::unreachable,
                     .server = Endpoint{.address = quoted->to, .port = port},
                     .vip = Vip{.address = quoted->to, .protocol = *protocol, .port = port},
                     .detail = fmt::format("{}, reported by {}", text, packet.from.text())};
}

// ---- netlink

// Bytes copied of a packet: an IPv6 header, ICMPv6, the quoted header and ports are 92; some options fit too.
constexpr std::uint32_t copied_bytes = 128;
// The kernel's buffer for one message; with the default, a page, an eighth as many packets would fill the socket.
constexpr std::uint32_t message_bytes = 512;
// Read in one turn of the loop; the rest waits for the next.
constexpr std::size_t packets_per_turn = 256;

/// Begins a message that configures the group.
nlmsghdr* put_config(std::span<std::uint8_t> bytes, std::uint32_t sequence) {
  nlmsghdr* const header = mnl_nlmsg_put_header(bytes.data());
  header->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  header->nlmsg_seq = sequence;
  auto* const group = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
  *group = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(nat::log_group)};
  return header;
}

struct Logged {
  std::string_view prefix;
  Bytes packet;
  std::optional<nat::FlowTuples> flow;
};

int take_attribute(const nlattr* attribute, void* data) {
  auto& logged = *static_cast<Logged*>(data);
  if (mnl_attr_get_type(attribute) == NFULA_PREFIX && mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) >= 0)
    logged.prefix = mnl_attr_get_str(attribute);
  const Bytes bytes{static_cast<const std::uint8_t*>(mnl_attr_get_payload(attribute)), mnl_attr_get_payload_len(attribute)};
  if (mnl_attr_get_type(attribute) == NFULA_PAYLOAD) logged.packet = bytes;
  if (mnl_attr_get_type(attribute) == NFULA_CT) logged.flow = nat::parse_flow(bytes);
  return MNL_CB_OK;
}

std::optional<KernelEvent> event_of(const nlmsghdr& message) {
  if (message.nlmsg_type != (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET) || mnl_nlmsg_get_payload_len(&message) < sizeof(nfgenmsg))
    return std::nullopt;
  const auto family = static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(&message))->nfgen_family;
  if (family != AF_INET && family != AF_INET6) return std::nullopt;
  Logged logged;
  mnl_attr_parse(&message, sizeof(nfgenmsg), take_attribute, &logged);
  return event_in(logged.prefix, family == AF_INET ? Family::ipv4 : Family::ipv6, logged.packet, logged.flow);
}

} // namespace

std::optional<KernelEvent> event_in(std::string_view prefix, Family family, std::span<const std::uint8_t> bytes,
                                    const std::optional<nat::FlowTuples>& flow) {
  const auto packet = packet_in(family, bytes);
  if (!packet) return std::nullopt;
  if (prefix == nat::log_unanswered) return syn_in(KernelEventKind::unanswered, *packet, flow);
  if (prefix == nat::log_undelivered) return syn_in(KernelEventKind::undelivered, *packet, flow);
  if (prefix == nat::log_unacknowledged) return syn_in(KernelEventKind::unacknowledged, *packet, flow);
  if (prefix == nat::log_sample) return syn_in(KernelEventKind::opened, *packet, flow);
  if (prefix == nat::log_reconnect) return syn_in(KernelEventKind::reconnect, *packet, flow);
  auto event = prefix == nat::log_refused       ? refused_in(*packet)
               : prefix == nat::log_answered    ? answered_in(*packet)
               : prefix == nat::log_unreachable ? unreachable_in(family, *packet)
                                                : std::nullopt;
  if (event && flow && flow->original.source.address.family() == family) {
    const nat::Tuple& first = flow->original;
    event->client = first.source;
    event->vip = Vip{.address = first.destination.address, .protocol = first.protocol, .port = first.destination.port};
    event->server = flow->reply.source;
  }
  return event;
}

NflogReader::NflogReader(uv_loop_t* loop, OnKernelEvent on_event, std::size_t buffer_bytes)
    : on_event_(std::move(on_event)), netlink_(buffer_bytes) {
  bind();
  poll_ = make_poll(loop, netlink_.fd(), this);
  check_uv(watch_netlink(poll_.get(), [](uv_poll_t* poll) { static_cast<NflogReader*>(poll->data)->on_readable(); }),
           "watch the nflog group");
}

void NflogReader::bind() {
  alignas(nlmsghdr) std::array<std::uint8_t, 256> bytes{};
  nlmsghdr* const header = put_config(bytes, netlink_.next_sequence());
  const nfulnl_msg_config_cmd command{.command = NFULNL_CFG_CMD_BIND};
  mnl_attr_put(header, NFULA_CFG_CMD, sizeof command, &command);
  nfulnl_msg_config_mode mode{};
  mode.copy_range = htonl(copied_bytes);
  mode.copy_mode = NFULNL_COPY_PACKET;
  mnl_attr_put(header, NFULA_CFG_MODE, sizeof mode, &mode);
  mnl_attr_put_u32(header, NFULA_CFG_NLBUFSIZ, htonl(message_bytes));
  mnl_attr_put_u32(header, NFULA_CFG_TIMEOUT, htonl(1)); // 1/100 s
  mnl_attr_put_u32(header, NFULA_CFG_QTHRESH, htonl(1)); // every packet at once
  netlink_.exchange({bytes.data(), header->nlmsg_len}, header->nlmsg_seq, header->nlmsg_seq, "read the nflog group");
  try {
    set_flags(NFULNL_CFG_F_CONNTRACK);
  } catch (const std::system_error&) { // NOLINT(bugprone-empty-catch): it tells no flows: see KernelEvent::client
  }
}

void NflogReader::set_flags(std::uint16_t flags) {
  alignas(nlmsghdr) std::array<std::uint8_t, 64> bytes{};
  nlmsghdr* const header = put_config(bytes, netlink_.next_sequence());
  mnl_attr_put_u16(header, NFULA_CFG_FLAGS, htons(flags));
  netlink_.exchange({bytes.data(), header->nlmsg_len}, header->nlmsg_seq, header->nlmsg_seq, "read the flows of logged packets");
}

void NflogReader::on_readable() {
  std::vector<KernelEvent> events;
  netlink_.drain(
      [&](const nlmsghdr& message) {
        auto event = event_of(message);
        if (!event) return;
        // A thousand refused clients of one server are reason for one probe; of a sample each counts.
        event->repeated = event->kind != KernelEventKind::opened && std::ranges::any_of(events, [&](const KernelEvent& before) {
                            return before.kind == event->kind && before.server == event->server && before.vip == event->vip &&
                                   before.detail == event->detail;
                          });
        events.push_back(*std::move(event));
      },
      packets_per_turn); // packets lost in a flood are like those that were read
  for (const KernelEvent& event : events) on_event_(event);
}

} // namespace hanat::probes
