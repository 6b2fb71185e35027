// Writes the attributes of nfnetlink_conntrack with libmnl.
#include "nat/conntrack/messages.hpp"

#include <exception>
#include <span>
#include <stdexcept>

#include <netinet/in.h>

#include <linux/netfilter/nf_conntrack_common.h>
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

std::span<const std::uint8_t> content_of(const nlattr& attribute) {
  return {reinterpret_cast<const std::uint8_t*>(&attribute) + sizeof(nlattr), attribute.nla_len - sizeof(nlattr)};
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
    bytes(attribute.nla_type, content_of(attribute));
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

/// One tuple of a filter: the address and port at the end that is compared.
struct HalfFilter {
  std::uint16_t type; // CTA_TUPLE_ORIG or CTA_TUPLE_REPLY
  bool source;        // false: the destination
  const std::optional<Address>& address;
  std::optional<Protocol> protocol;
  const std::optional<std::uint16_t>& port;
};

/// Returns the bits for the compared parts of the tuple.
std::uint32_t put_half(Message& message, const HalfFilter& half) {
  if (half.port && !half.protocol) throw std::logic_error("a port filter without its protocol");
  if (!half.address && !half.protocol) return 0;
  std::uint32_t compare = 0;
  nlattr* const nest = message.open(half.type);
  if (half.address) {
    nlattr* const addresses = message.open(CTA_TUPLE_IP);
    put_address(message, half.source, *half.address);
    message.close(addresses);
    compare |= half.source ? compare_source : compare_destination;
  }
  if (half.protocol) {
    nlattr* const ports = message.open(CTA_TUPLE_PROTO);
    message.number8(CTA_PROTO_NUM, static_cast<std::uint8_t>(*half.protocol));
    compare |= compare_protocol;
    if (half.port) message.port(half.source ? CTA_PROTO_SRC_PORT : CTA_PROTO_DST_PORT, *half.port);
    if (half.port) compare |= half.source ? compare_source_port : compare_destination_port;
    message.close(ports);
  }
  message.close(nest);
  return compare;
}

/// The tuple in which `vip` is a destination, or `server` a source.
HalfFilter half_of(const Filter& filter, std::uint16_t type) {
  const bool original = type == CTA_TUPLE_ORIG;
  const bool source = original == (filter.opener == Opener::server);
  const auto& port = source ? filter.server_port : filter.vip_port;
  // Both tuples have the same protocol: the reply needs it only if its port is compared.
  return {.type = type,
          .source = source,
          .address = source ? filter.server : filter.vip,
          .protocol = original || port ? filter.protocol : std::nullopt,
          .port = port};
}

void put_filter(Message& message, const Filter& filter) {
  if (filter.related) { // a kernel without CTA_STATUS_MASK shows all entries
    message.big_endian(CTA_STATUS, IPS_EXPECTED);
    message.big_endian(CTA_STATUS_MASK, IPS_EXPECTED);
  }
  if (!filter.protocol && !filter.vip && !filter.server && !filter.vip_port && !filter.server_port) return;
  const std::uint32_t original = put_half(message, half_of(filter, CTA_TUPLE_ORIG));
  const std::uint32_t reply = put_half(message, half_of(filter, CTA_TUPLE_REPLY));
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

} // namespace

Filter filter_of(const Mapping& mapping, Opener opener) {
  Filter filter{.protocol = mapping.vip.protocol,
                .vip = mapping.vip.address,
                .server = mapping.server.address,
                .vip_port = {},
                .server_port = {},
                .opener = opener};
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

void put_lookup(MessageBatch& batch, std::uint32_t sequence, const Tuple& original, std::uint16_t zone) {
  Message message{batch, sequence, IPCTNL_MSG_CT_GET, NLM_F_ACK, original.source.address.family()};
  put_tuple(message, CTA_TUPLE_ORIG, original);
  if (zone != 0) message.big_endian(CTA_ZONE, zone);
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
  const bool whole = entry.reply != nullptr && mnl_attr_get_type(entry.reply) == CTA_TUPLE_REPLY && !content_of(*entry.reply).empty() &&
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

Tuple original_of(const NewEntry& entry) {
  const auto& [vip, server] = entry.mapping;
  if (entry.opener == Opener::server) return {.protocol = vip.protocol, .source = server, .destination = entry.client};
  return {.protocol = vip.protocol, .source = entry.client, .destination = {.address = vip.address, .port = vip.port}};
}

Tuple reply_of(const NewEntry& entry) {
  const auto& [vip, server] = entry.mapping;
  if (entry.opener == Opener::client) return {.protocol = vip.protocol, .source = server, .destination = entry.client};
  return {.protocol = vip.protocol, .source = entry.client, .destination = {.address = vip.address, .port = vip.port}};
}

void put_new(MessageBatch& batch, std::uint32_t sequence, const NewEntry& entry) {
  Message message{batch, sequence, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, entry.client.address.family()};
  put_tuple(message, CTA_TUPLE_ORIG, original_of(entry));
  put_tuple(message, CTA_TUPLE_REPLY, reply_of(entry));
  if (entry.master) put_tuple(message, CTA_TUPLE_MASTER, *entry.master);
  // Assured, so that a full table does not evict it.
  message.big_endian(CTA_STATUS, IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED);
  message.big_endian(CTA_TIMEOUT, entry.lifetime_s);
  message.big_endian(CTA_MARK, entry.mark);
}

void put_delete_new(MessageBatch& batch, std::uint32_t sequence, const NewEntry& entry) {
  Message message{batch, sequence, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, entry.client.address.family()};
  put_tuple(message, CTA_TUPLE_ORIG, original_of(entry));
}

} // namespace hanat::nat
