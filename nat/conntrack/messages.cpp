// Reads and writes the attributes of nfnetlink_conntrack with libmnl.
#include "nat/conntrack/messages.hpp"

#include <algorithm>
#include <array>
#include <exception>
#include <span>
#include <stdexcept>

#include <netinet/in.h>

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

namespace hanat::nat {
namespace {

constexpr std::size_t max_message_bytes = 512; // the longest message, an IPv6 filter with a mark, has less than 300

// The parts of a tuple that CTA_FILTER compares. The kernel's uapi headers do not define these bits.
constexpr std::uint32_t compare_source = 1U << 0;
constexpr std::uint32_t compare_destination = 1U << 1;
constexpr std::uint32_t compare_protocol = 1U << 3;
constexpr std::uint32_t compare_source_port = 1U << 4;
constexpr std::uint32_t compare_destination_port = 1U << 5;

std::uint8_t number_of(Family family) {
  switch (family) {
  case Family::ipv4: return AF_INET;
  case Family::ipv6: return AF_INET6;
  }
  throw std::logic_error("unknown address family");
}

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

struct Tuple {
  Protocol protocol;
  Endpoint source;
  Endpoint destination;
};

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

/// Appends one message, and trims the datagram to its length at the end of its scope. After an exception it removes the message: an
/// incomplete delete would name more entries than intended.
class Message {
public:
  Message(MessageBatch& batch, std::uint32_t sequence, std::uint8_t type, std::uint16_t flags, Family family)
      : batch_(batch), start_(batch.size()) {
    batch_.resize(start_ + max_message_bytes);
    header_ = mnl_nlmsg_put_header(batch_.data() + start_);
    header_->nlmsg_type = static_cast<std::uint16_t>((NFNL_SUBSYS_CTNETLINK << 8) | type);
    header_->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    header_->nlmsg_seq = sequence;
    auto* netfilter = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header_, sizeof(nfgenmsg)));
    netfilter->nfgen_family = number_of(family);
    netfilter->version = 1; // with version 0 a delete affects every family
    netfilter->res_id = 0;
  }
  ~Message() { batch_.resize(std::uncaught_exceptions() > exceptions_ ? start_ : start_ + header_->nlmsg_len); }
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;

  nlattr* open(std::uint16_t type) { return check(mnl_attr_nest_start_check(header_, max_message_bytes, type)); }
  void close(nlattr* nest) { mnl_attr_nest_end(header_, nest); }
  void bytes(std::uint16_t type, std::span<const std::uint8_t> value) {
    require(mnl_attr_put_check(header_, max_message_bytes, type, value.size(), value.data()));
  }
  void number8(std::uint16_t type, std::uint8_t value) { require(mnl_attr_put_u8_check(header_, max_message_bytes, type, value)); }
  void port(std::uint16_t type, std::uint16_t value) { require(mnl_attr_put_u16_check(header_, max_message_bytes, type, htons(value))); }
  void big_endian(std::uint16_t type, std::uint32_t value) {
    require(mnl_attr_put_u32_check(header_, max_message_bytes, type, htonl(value)));
  }
  void host_endian(std::uint16_t type, std::uint32_t value) { require(mnl_attr_put_u32_check(header_, max_message_bytes, type, value)); }
  void copy(const nlattr& attribute) { // unchanged, with its flags (nested)
    bytes(attribute.nla_type, payload(attribute));
  }

private:
  static void require(bool fits) {
    if (!fits) throw std::logic_error("a conntrack message is longer than its buffer");
  }
  static nlattr* check(nlattr* nest) {
    require(nest != nullptr);
    return nest;
  }

  MessageBatch& batch_;
  std::size_t start_;
  int exceptions_ = std::uncaught_exceptions();
  nlmsghdr* header_;
};

void put_address(Message& message, bool source, const Address& address) {
  const bool v4 = address.family() == Family::ipv4;
  message.bytes(source ? (v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC) : (v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST), address.bytes());
}

void put_tuple(Message& message, std::uint16_t type, const Tuple& tuple) {
  nlattr* const nest = message.open(type);
  nlattr* const addresses = message.open(CTA_TUPLE_IP);
  put_address(message, true, tuple.source.address);
  put_address(message, false, tuple.destination.address);
  message.close(addresses);
  nlattr* const ports = message.open(CTA_TUPLE_PROTO);
  message.number8(CTA_PROTO_NUM, static_cast<std::uint8_t>(tuple.protocol));
  message.port(CTA_PROTO_SRC_PORT, tuple.source.port);
  message.port(CTA_PROTO_DST_PORT, tuple.destination.port);
  message.close(ports);
  message.close(nest);
}

/// One direction of a filter: the address and port at the end that is compared.
struct HalfFilter {
  std::uint16_t type; // CTA_TUPLE_ORIG: compares the destination; CTA_TUPLE_REPLY: the source
  const std::optional<Address>& address;
  std::optional<Protocol> protocol;
  const std::optional<std::uint16_t>& port;
};

/// Returns the bits for the compared parts of the tuple.
std::uint32_t put_half(Message& message, const HalfFilter& half) {
  const bool source = half.type == CTA_TUPLE_REPLY;
  if (half.port && !half.protocol) throw std::logic_error("a port filter without its protocol");
  if (!half.address && !half.protocol) return 0;
  std::uint32_t compare = 0;
  nlattr* const nest = message.open(half.type);
  if (half.address) {
    nlattr* const addresses = message.open(CTA_TUPLE_IP);
    put_address(message, source, *half.address);
    message.close(addresses);
    compare |= source ? compare_source : compare_destination;
  }
  if (half.protocol) {
    nlattr* const ports = message.open(CTA_TUPLE_PROTO);
    message.number8(CTA_PROTO_NUM, static_cast<std::uint8_t>(*half.protocol));
    compare |= compare_protocol;
    if (half.port) message.port(source ? CTA_PROTO_SRC_PORT : CTA_PROTO_DST_PORT, *half.port);
    if (half.port) compare |= source ? compare_source_port : compare_destination_port;
    message.close(ports);
  }
  message.close(nest);
  return compare;
}

void put_filter(Message& message, const Filter& filter) {
  if (filter == Filter{}) return;
  const std::uint32_t original =
      put_half(message, {.type = CTA_TUPLE_ORIG, .address = filter.vip, .protocol = filter.protocol, .port = filter.vip_port});
  // Both directions have the same protocol: the reply needs it only if its port is compared.
  const auto reply_protocol = filter.server_port ? filter.protocol : std::nullopt;
  const std::uint32_t reply =
      put_half(message, {.type = CTA_TUPLE_REPLY, .address = filter.server, .protocol = reply_protocol, .port = filter.server_port});
  nlattr* const nest = message.open(CTA_FILTER);
  message.host_endian(CTA_FILTER_ORIG_FLAGS, original);
  message.host_endian(CTA_FILTER_REPLY_FLAGS, reply);
  message.close(nest);
}

void put_mark(Message& message, Mark mark) {
  if (!mark) return;
  message.big_endian(CTA_MARK, *mark);
  message.big_endian(CTA_MARK_MASK, 0xffffffff);
}

Tuple original_of(const Mapping& mapping, const Endpoint& client) {
  return {.protocol = mapping.vip.protocol, .source = client, .destination = {.address = mapping.vip.address, .port = mapping.vip.port}};
}

} // namespace

std::optional<std::uint32_t> parse_entry_counter(const nlmsghdr& message) {
  if (message.nlmsg_type != ((NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_GET_STATS)) return std::nullopt;
  const auto bytes = body(message);
  return number<std::uint32_t>(attributes<CTA_STATS_GLOBAL_MAX + 1>(bytes)[CTA_STATS_GLOBAL_ENTRIES]);
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
               .mark = number<std::uint32_t>(parts[CTA_MARK]).value_or(0),
               .reply = parts[CTA_TUPLE_REPLY],
               .zone = parts[CTA_ZONE],
               .id = parts[CTA_ID],
               .status = parts[CTA_STATUS],
               .protocol_info = parts[CTA_PROTOINFO]};
}

TcpPhase phase_of(const Entry& entry) {
  if (entry.mapping.vip.protocol != Protocol::tcp || entry.protocol_info == nullptr) return TcpPhase::closed;
  const nlattr* const tcp = nested<CTA_PROTOINFO_MAX + 1>(entry.protocol_info)[CTA_PROTOINFO_TCP];
  if (tcp == nullptr) return TcpPhase::closed;
  const auto state = number<std::uint8_t>(nested<CTA_PROTOINFO_TCP_MAX + 1>(tcp)[CTA_PROTOINFO_TCP_STATE]);
  switch (state.value_or(TCP_CONNTRACK_NONE)) { // a number from a message, not an enum
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

Filter filter_of(const Mapping& mapping) {
  Filter filter{
      .protocol = mapping.vip.protocol, .vip = mapping.vip.address, .server = mapping.server.address, .vip_port = {}, .server_port = {}};
  if (mapping.vip.protocol == Protocol::sctp || is_range(mapping.vip)) return filter;
  filter.vip_port = mapping.vip.port;
  filter.server_port = mapping.server.port;
  return filter;
}

bool matches(const Filter& filter, const Mapping& mapping) {
  return (!filter.protocol || *filter.protocol == mapping.vip.protocol) && (!filter.vip || *filter.vip == mapping.vip.address) &&
         (!filter.server || *filter.server == mapping.server.address) && (!filter.vip_port || *filter.vip_port == mapping.vip.port) &&
         (!filter.server_port || *filter.server_port == mapping.server.port);
}

void put_dump(MessageBatch& batch, std::uint32_t sequence, Family family, const Filter& filter, Mark mark) {
  Message message{batch, sequence, IPCTNL_MSG_CT_GET, NLM_F_DUMP, family};
  put_filter(message, filter);
  put_mark(message, mark);
}

void put_entry_counter(MessageBatch& batch, std::uint32_t sequence) {
  const Message message{batch, sequence, IPCTNL_MSG_CT_GET_STATS, NLM_F_ACK, Family::ipv4};
}

void put_filtered_delete(MessageBatch& batch, std::uint32_t sequence, const Mapping& mapping, Mark mark) {
  const bool whole = mapping.vip.port != 0 && mapping.server.port != 0 && mapping.vip.address.family() == mapping.server.address.family();
  if (!whole || mapping.vip.protocol == Protocol::sctp || is_range(mapping.vip))
    throw std::logic_error("a filtered delete needs a whole mapping of one port of TCP or UDP");
  Message message{batch, sequence, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, mapping.vip.address.family()};
  put_filter(message, filter_of(mapping));
  put_mark(message, mark);
}

void put_entry_delete(MessageBatch& batch, std::uint32_t sequence, const Entry& entry, bool acknowledged) {
  const bool whole = entry.reply != nullptr && mnl_attr_get_type(entry.reply) == CTA_TUPLE_REPLY && !payload(*entry.reply).empty() &&
                     entry.id != nullptr && mnl_attr_get_type(entry.id) == CTA_ID;
  if (!whole) throw std::logic_error("a delete of an entry needs its reply tuple and its id");
  const auto flags = static_cast<std::uint16_t>(acknowledged ? NLM_F_ACK : 0);
  Message message{batch, sequence, IPCTNL_MSG_CT_DELETE, flags, entry.mapping.vip.address.family()};
  message.copy(*entry.reply);
  if (entry.zone != nullptr) message.copy(*entry.zone);
  message.copy(*entry.id);
}

void acknowledge(MessageBatch& batch, std::size_t offset) {
  if (offset + sizeof(nlmsghdr) > batch.size()) throw std::logic_error("no message starts at this offset");
  reinterpret_cast<nlmsghdr*>(batch.data() + offset)->nlmsg_flags |= NLM_F_ACK;
}

void put_new(MessageBatch& batch, std::uint32_t sequence, const Mapping& mapping, const Endpoint& client, std::uint32_t mark,
             std::uint32_t timeout_s) {
  Message message{batch, sequence, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, mapping.vip.address.family()};
  put_tuple(message, CTA_TUPLE_ORIG, original_of(mapping, client));
  put_tuple(message, CTA_TUPLE_REPLY, {.protocol = mapping.vip.protocol, .source = mapping.server, .destination = client});
  // Assured, so that a full table does not evict it.
  message.big_endian(CTA_STATUS, IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED);
  message.big_endian(CTA_TIMEOUT, timeout_s);
  message.big_endian(CTA_MARK, mark);
}

void put_delete_new(MessageBatch& batch, std::uint32_t sequence, const Mapping& mapping, const Endpoint& client) {
  Message message{batch, sequence, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, mapping.vip.address.family()};
  put_tuple(message, CTA_TUPLE_ORIG, original_of(mapping, client));
}

} // namespace hanat::nat
