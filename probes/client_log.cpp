// The reader of the log group. The packets in it are a stranger's bytes: every length is checked, and what does not fit is no signal.
#include "probes/client_log.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <netinet/in.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>

#include "nat/layout.hpp"

namespace hanat::probes {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::uint8_t tcp_syn = 0x02, tcp_rst = 0x04, tcp_ack = 0x10;

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

std::optional<Signal> refused_in(const Packet& packet) {
  if (packet.protocol != IPPROTO_TCP || packet.rest.size() < 14 || (packet.rest[13] & tcp_rst) == 0) return std::nullopt;
  return Signal{.kind = SignalKind::refused, .server = Endpoint{.address = packet.from, .port = word_at(packet.rest, 0)}};
}

std::optional<Signal> unanswered_in(const Packet& packet) {
  if (packet.protocol != IPPROTO_TCP || packet.rest.size() < 14) return std::nullopt;
  if ((packet.rest[13] & (tcp_syn | tcp_rst | tcp_ack)) != tcp_syn) return std::nullopt;
  return Signal{.kind = SignalKind::unanswered,
                .vip = Vip{.address = packet.to, .protocol = Protocol::tcp, .port = word_at(packet.rest, 2)}};
}

/// The words of an ICMP or ICMPv6 destination unreachable, empty for a code that says nothing about the way.
std::string_view unreachable_words(Family family, std::uint8_t code) {
  if (family == Family::ipv6) {
    constexpr std::array<std::string_view, 7> words{"no route",         "prohibited",    "beyond scope", "address unreachable",
                                                    "port unreachable", "source policy", "reject route"};
    return code < words.size() ? words[code] : "unreachable";
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

std::optional<Signal> unreachable_in(Family family, const Packet& packet) {
  const bool v4 = family == Family::ipv4;
  constexpr std::uint8_t icmp = 1, icmp_type = 3, icmpv6 = 58, icmpv6_type = 1;
  if (packet.protocol != (v4 ? icmp : icmpv6) || packet.rest.size() < 8) return std::nullopt;
  const std::string_view words = unreachable_words(family, packet.rest[1]);
  if (packet.rest[0] != (v4 ? icmp_type : icmpv6_type) || words.empty()) return std::nullopt;
  const auto quoted = packet_in(family, packet.rest.subspan(8));
  const auto protocol = quoted ? protocol_in(quoted->protocol) : std::nullopt;
  if (!protocol || quoted->rest.size() < 4) return std::nullopt;
  const std::uint16_t port = word_at(quoted->rest, 2);
  // Conntrack may have translated the quoted packet back already: its destination is the server or the VIP, and only the reader knows both.
  return Signal{.kind = SignalKind::unreachable,
                .server = Endpoint{.address = quoted->to, .port = port},
                .vip = Vip{.address = quoted->to, .protocol = *protocol, .port = port},
                .detail = fmt::format("{}, says {}", words, packet.from.text())};
}

// ---- netlink

// What is read of a packet: an IPv6 header, ICMPv6, the quoted header and ports are 92 bytes; some options fit too.
constexpr std::uint32_t copied_bytes = 128;
// The kernel's buffer of one message; the default, a page, would fill the socket with an eighth of the packets.
constexpr std::uint32_t message_bytes = 512;
// Read in one turn of the loop; the rest waits for the next.
constexpr std::size_t packets_in_turn = 256;

struct Logged {
  std::string_view prefix;
  Bytes packet;
};

int take_attribute(const nlattr* attribute, void* data) {
  auto& logged = *static_cast<Logged*>(data);
  if (mnl_attr_get_type(attribute) == NFULA_PREFIX && mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) >= 0)
    logged.prefix = mnl_attr_get_str(attribute);
  if (mnl_attr_get_type(attribute) == NFULA_PAYLOAD)
    logged.packet = {static_cast<const std::uint8_t*>(mnl_attr_get_payload(attribute)), mnl_attr_get_payload_len(attribute)};
  return MNL_CB_OK;
}

std::optional<Signal> signal_of(const nlmsghdr& message) {
  if (message.nlmsg_type != (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET) || mnl_nlmsg_get_payload_len(&message) < sizeof(nfgenmsg))
    return std::nullopt;
  const auto family = static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(&message))->nfgen_family;
  if (family != AF_INET && family != AF_INET6) return std::nullopt;
  Logged logged;
  mnl_attr_parse(&message, sizeof(nfgenmsg), take_attribute, &logged);
  return signal_in(logged.prefix, family == AF_INET ? Family::ipv4 : Family::ipv6, logged.packet);
}

} // namespace

std::optional<Signal> signal_in(std::string_view prefix, Family family, std::span<const std::uint8_t> bytes) {
  const auto packet = packet_in(family, bytes);
  if (!packet) return std::nullopt;
  if (prefix == nat::log_refused) return refused_in(*packet);
  if (prefix == nat::log_unanswered) return unanswered_in(*packet);
  if (prefix == nat::log_unreachable) return unreachable_in(family, *packet);
  return std::nullopt;
}

ClientLog::ClientLog(uv_loop_t* loop, OnSignal on_signal, std::size_t buffer_bytes)
    : on_signal_(std::move(on_signal)), netlink_(buffer_bytes) {
  bind();
  int error = 0;
  poll_ = make_poll(loop, netlink_.fd(), this, error);
  if (poll_)
    error = uv_poll_start(poll_.get(), UV_READABLE, [](uv_poll_t* poll, int, int) { static_cast<ClientLog*>(poll->data)->on_readable(); });
  if (error < 0) nat::throw_netlink(-error, "watch the clients' log");
}

void ClientLog::bind() {
  alignas(nlmsghdr) std::array<std::uint8_t, 256> bytes{};
  nlmsghdr* const header = mnl_nlmsg_put_header(bytes.data());
  header->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  header->nlmsg_seq = netlink_.next_sequence();
  auto* const group = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
  *group = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(nat::log_group)};
  const nfulnl_msg_config_cmd command{.command = NFULNL_CFG_CMD_BIND};
  mnl_attr_put(header, NFULA_CFG_CMD, sizeof command, &command);
  nfulnl_msg_config_mode mode{};
  mode.copy_range = htonl(copied_bytes);
  mode.copy_mode = NFULNL_COPY_PACKET;
  mnl_attr_put(header, NFULA_CFG_MODE, sizeof mode, &mode);
  mnl_attr_put_u32(header, NFULA_CFG_NLBUFSIZ, htonl(message_bytes));
  mnl_attr_put_u32(header, NFULA_CFG_TIMEOUT, htonl(1)); // 1/100 s
  mnl_attr_put_u32(header, NFULA_CFG_QTHRESH, htonl(1)); // every packet at once
  netlink_.exchange({bytes.data(), header->nlmsg_len}, header->nlmsg_seq, header->nlmsg_seq, "read the clients' log group");
}

void ClientLog::on_readable() {
  std::vector<Signal> heard; // one of each: a thousand refused clients of one server are one signal
  netlink_.drain(
      [&](const nlmsghdr& message) {
        auto signal = signal_of(message);
        if (signal && std::ranges::find(heard, *signal) == heard.end()) heard.push_back(*std::move(signal));
      },
      packets_in_turn); // packets that were lost in a storm are like those that were read
  for (const Signal& signal : heard) on_signal_(signal);
}

} // namespace hanat::probes
