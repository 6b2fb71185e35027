// The bytes of conntrack's messages, and the requests that cannot be built. Not here: sending them (netns).
#include "nat/conntrack/messages.hpp"

#include <array>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>
#include <netinet/in.h>

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

namespace hanat::nat {
namespace {

Address address(const char* text) {
  const auto parsed = Address::parse(text);
  if (!parsed) throw std::invalid_argument(text);
  return *parsed;
}

Endpoint endpoint(const char* text, std::uint16_t port) { return {.address = address(text), .port = port}; }

Mapping mapping(Protocol protocol = Protocol::tcp, bool ipv6 = false) {
  return {.vip = {.address = address(ipv6 ? "2001:db8::10" : "203.0.113.10"), .protocol = protocol, .port = 443},
          .server = endpoint(ipv6 ? "fd00::11" : "10.0.0.11", 8443)};
}
Endpoint client(bool ipv6 = false) { return endpoint(ipv6 ? "2001:db8:c::1" : "198.18.0.1", 40'000); }

const nlmsghdr& message(const MessageBatch& batch) { return *reinterpret_cast<const nlmsghdr*>(batch.data()); }
const nfgenmsg& netfilter(const MessageBatch& batch) { return *static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(&message(batch))); }

/// An entry as a dump shows it: a creation has the same attributes, less the id, which is appended here.
MessageBatch shown(const Mapping& mapping, const Endpoint& client) {
  MessageBatch batch;
  put_new(batch, 1, {.mapping = mapping, .client = client, .mark = 0x01020304, .lifetime_s = 10});
  batch.insert(batch.end(), {8, 0, CTA_ID, 0, 1, 2, 3, 4});
  batch.insert(batch.end(), {6, 0, CTA_ZONE, 0, 0, 5, 0, 0});
  reinterpret_cast<nlmsghdr*>(batch.data())->nlmsg_len = static_cast<std::uint32_t>(batch.size());
  return batch;
}

/// Of a batch that lives as long as the entry.
Entry read(const MessageBatch& batch) { return parse_entry(message(batch)).value_or(Entry{}); }

TEST(ConntrackMessages, ParseWhatTheyWrite) {
  for (const bool ipv6 : {false, true})
    for (const Protocol protocol : {Protocol::tcp, Protocol::udp, Protocol::sctp}) {
      const MessageBatch batch = shown(mapping(protocol, ipv6), client(ipv6));
      const auto entry = parse_entry(message(batch));
      ASSERT_TRUE(entry);
      EXPECT_EQ(entry->mapping, mapping(protocol, ipv6));
      EXPECT_EQ(entry->client, client(ipv6));
      EXPECT_EQ(entry->mark, 0x01020304U);
      EXPECT_TRUE(entry->reply != nullptr && entry->id != nullptr && entry->zone != nullptr);
    }
}

TEST(ConntrackMessages, TellAFlowThatTheServerOpenedByItsTranslatedSource) {
  for (const bool ipv6 : {false, true})
    for (const Protocol protocol : {Protocol::tcp, Protocol::udp, Protocol::sctp}) {
      MessageBatch batch;
      put_new(batch, 1, {.mapping = mapping(protocol, ipv6), .client = client(ipv6), .opener = Opener::server});
      const auto entry = parse_entry(message(batch));
      ASSERT_TRUE(entry);
      EXPECT_EQ(entry->client, mapping(protocol, ipv6).server) << "the original source";
      EXPECT_EQ(entry->mapping.server, client(ipv6)) << "the reply source";
      EXPECT_EQ(mapping_opened_by_server(*entry), mapping(protocol, ipv6));
    }
  EXPECT_EQ(mapping_opened_by_server(read(shown(mapping(), client()))), std::nullopt) << "its source is not translated";
}

TEST(ConntrackMessages, TellTheMasterOfARelatedFlow) {
  EXPECT_EQ(master_of(read(shown(mapping(), client()))), std::nullopt);
  const NewEntry master{.mapping = mapping(), .client = client()};
  MessageBatch batch;
  put_new(batch, 1, {.mapping = mapping(Protocol::udp), .client = client(), .master = original_of(master)});
  EXPECT_EQ(master_of(read(batch)), original_of(master));
}

/// What `of` says of the entry of a flow in that state; assured as put_new() makes them, or not.
template <typename Of> auto in_state(Of of, std::uint8_t state, bool assured, Protocol protocol = Protocol::tcp) {
  MessageBatch batch = shown(mapping(protocol), client());
  batch.insert(batch.end(), {16, 0, CTA_PROTOINFO, 0x80, 12, 0, CTA_PROTOINFO_TCP, 0x80, 5, 0, CTA_PROTOINFO_TCP_STATE, 0, state, 0, 0, 0});
  if (!assured) batch.insert(batch.end(), {8, 0, CTA_STATUS, 0, 0, 0, 0, IPS_CONFIRMED | IPS_SEEN_REPLY});
  reinterpret_cast<nlmsghdr*>(batch.data())->nlmsg_len = static_cast<std::uint32_t>(batch.size());
  return of(parse_entry(message(batch)).value());
}
TcpPhase phase_in(std::uint8_t state, bool assured, Protocol protocol = Protocol::tcp) {
  return in_state(phase_of, state, assured, protocol);
}

TEST(ConntrackMessages, KnowAConnectionThatBothSidesHaveClosed) {
  EXPECT_TRUE(in_state(is_finished, TCP_CONNTRACK_TIME_WAIT, true));
  for (const std::uint8_t state : {TCP_CONNTRACK_ESTABLISHED, TCP_CONNTRACK_LAST_ACK, TCP_CONNTRACK_CLOSE, TCP_CONNTRACK_NONE})
    EXPECT_FALSE(in_state(is_finished, state, true)) << int{state};
  EXPECT_FALSE(in_state(is_finished, TCP_CONNTRACK_TIME_WAIT, true, Protocol::udp));
}

/// Replies of those packets and bytes.
MessageBatch counted(std::uint8_t packets, std::uint8_t bytes, bool ipv6) {
  MessageBatch batch = shown(mapping(Protocol::tcp, ipv6), client(ipv6));
  batch.insert(batch.end(), {28,
                             0,
                             CTA_COUNTERS_REPLY,
                             0x80,
                             12,
                             0,
                             CTA_COUNTERS_PACKETS,
                             0,
                             0,
                             0,
                             0,
                             0,
                             0,
                             0,
                             0,
                             packets, //
                             12,
                             0,
                             CTA_COUNTERS_BYTES,
                             0,
                             0,
                             0,
                             0,
                             0,
                             0,
                             0,
                             0,
                             bytes});
  reinterpret_cast<nlmsghdr*>(batch.data())->nlmsg_len = static_cast<std::uint32_t>(batch.size());
  return batch;
}

TEST(ConntrackMessages, KnowDataFromAcknowledgements) {
  const auto has_data = [](std::uint8_t packets, std::uint8_t bytes, bool ipv6 = false) {
    const MessageBatch batch = counted(packets, bytes, ipv6);
    return has_reply_data(read(batch));
  };
  EXPECT_FALSE(has_data(0, 0));
  EXPECT_FALSE(has_data(1, 200)) << "no SYN ACK is that long";
  EXPECT_FALSE(has_data(2, 60 + 52));
  EXPECT_TRUE(has_data(2, 60 + 52 + 1));
  EXPECT_FALSE(has_data(2, 52 + 40)) << "without time stamps";
  EXPECT_FALSE(has_data(3, 60 + 2 * 52));
  EXPECT_TRUE(has_data(3, 60 + 52 + 60));
  EXPECT_FALSE(has_data(2, 80 + 72, true));
  EXPECT_TRUE(has_data(2, 80 + 72 + 8, true));
  const MessageBatch uncounted = shown(mapping(), client());
  EXPECT_FALSE(has_reply_data(read(uncounted)));
}

TEST(ConntrackMessages, KnowThePhaseOfAConnection) {
  for (const std::uint8_t state : {TCP_CONNTRACK_SYN_SENT, TCP_CONNTRACK_SYN_RECV, TCP_CONNTRACK_SYN_SENT2})
    EXPECT_EQ(phase_in(state, false), TcpPhase::connecting) << int{state};
  for (const std::uint8_t state : {TCP_CONNTRACK_ESTABLISHED, TCP_CONNTRACK_FIN_WAIT, TCP_CONNTRACK_CLOSE_WAIT})
    EXPECT_EQ(phase_in(state, true), TcpPhase::established) << int{state};
  for (const std::uint8_t state : {TCP_CONNTRACK_LAST_ACK, TCP_CONNTRACK_TIME_WAIT, TCP_CONNTRACK_CLOSE, TCP_CONNTRACK_NONE})
    EXPECT_EQ(phase_in(state, true), TcpPhase::closed) << int{state};
  EXPECT_EQ(phase_in(TCP_CONNTRACK_CLOSE, false), TcpPhase::refused);
  EXPECT_EQ(phase_in(200, false), TcpPhase::closed);
  EXPECT_EQ(phase_in(TCP_CONNTRACK_ESTABLISHED, true, Protocol::udp), TcpPhase::closed);
  const MessageBatch without = shown(mapping(), client());
  EXPECT_EQ(phase_of(parse_entry(message(without)).value()), TcpPhase::closed);
}

TEST(ConntrackMessages, KnowAnOffloadedConnectionAsEstablishedWithoutItsState) {
  for (const std::uint32_t offloaded : {IPS_OFFLOAD, IPS_HW_OFFLOAD})
    for (const Protocol protocol : {Protocol::tcp, Protocol::udp}) {
      MessageBatch batch = shown(mapping(protocol), client());
      const std::uint32_t status = IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED | offloaded;
      batch.insert(batch.end(), {8, 0, CTA_STATUS, 0, 0, 0, static_cast<std::uint8_t>(status >> 8U), static_cast<std::uint8_t>(status)});
      reinterpret_cast<nlmsghdr*>(batch.data())->nlmsg_len = static_cast<std::uint32_t>(batch.size());
      EXPECT_TRUE(is_offloaded(read(batch)));
      EXPECT_EQ(phase_of(read(batch)), protocol == Protocol::tcp ? TcpPhase::established : TcpPhase::closed);
    }
  EXPECT_FALSE(is_offloaded(read(shown(mapping(), client()))));
  EXPECT_FALSE(is_offloaded(Entry{}));
}

TEST(ConntrackMessages, AreNotParsedBeyondATruncatedEnd) {
  const MessageBatch whole = shown(mapping(), client());
  for (std::size_t length = sizeof(nlmsghdr); length < whole.size(); ++length) {
    MessageBatch part(whole.begin(), whole.begin() + static_cast<long>(length));
    reinterpret_cast<nlmsghdr*>(part.data())->nlmsg_len = static_cast<std::uint32_t>(length);
    EXPECT_EQ(parse_entry(message(part)).value_or(Entry{.mapping = mapping(), .client = {}, .reply_to = {}}).mapping, mapping());
  }
}

TEST(ConntrackMessages, OfOtherTypesAndProtocolsAreIgnored) {
  MessageBatch batch = shown(mapping(), client());
  reinterpret_cast<nlmsghdr*>(batch.data())->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE;
  EXPECT_FALSE(parse_entry(message(batch)));
  EXPECT_FALSE(parse_entry(message(shown(mapping(static_cast<Protocol>(IPPROTO_ICMP)), client()))));
}

TEST(ConntrackMessages, HaveAFamilyAndVersionOne) {
  for (const bool ipv6 : {false, true}) {
    const MessageBatch dump_bytes = shown(mapping(Protocol::tcp, ipv6), client(ipv6));
    const auto entry = read(dump_bytes);
    std::array<MessageBatch, 5> requests;
    put_dump(requests[0], 1, ipv6 ? Family::ipv6 : Family::ipv4, filter_of(mapping(Protocol::tcp, ipv6)), 7);
    put_filtered_delete(requests[1], 1, mapping(Protocol::tcp, ipv6));
    put_entry_delete(requests[2], 1, entry, false);
    const NewEntry created{.mapping = mapping(Protocol::tcp, ipv6), .client = client(ipv6), .mark = 1, .lifetime_s = 1};
    put_new(requests[3], 1, created);
    put_delete_new(requests[4], 1, created);
    for (const MessageBatch& request : requests) {
      EXPECT_EQ(netfilter(request).nfgen_family, ipv6 ? AF_INET6 : AF_INET);
      EXPECT_EQ(netfilter(request).version, 1) << "with version 0 a delete affects every family";
      EXPECT_EQ(message(request).nlmsg_len, request.size());
    }
  }
}

TEST(ConntrackMessages, ADeleteThatNamesLessThanAMappingCannotBeBuilt) {
  MessageBatch batch;
  Mapping no_port = mapping();
  no_port.vip.port = 0;
  Mapping no_server_port = mapping();
  no_server_port.server.port = 0;
  Mapping mixed = mapping();
  mixed.server = endpoint("fd00::11", 8443);
  Mapping range = mapping();
  range.vip.last = 9000;
  range.server.port = 0;
  Mapping range_and_port = mapping();
  range_and_port.vip.last = 9000;
  for (const Mapping& bad : {no_port, no_server_port, mixed, Mapping{}, mapping(Protocol::sctp), range, range_and_port})
    EXPECT_THROW(put_filtered_delete(batch, 1, bad), std::logic_error);
  EXPECT_TRUE(batch.empty());
}

TEST(ConntrackMessages, ADeleteWithoutAnEntryCannotBeBuilt) {
  const MessageBatch dumped = shown(mapping(), client());
  const Entry entry = read(dumped);
  MessageBatch batch;
  EXPECT_THROW(put_entry_delete(batch, 1, Entry{}, true), std::logic_error);
  Entry without = entry;
  without.reply = nullptr;
  EXPECT_THROW(put_entry_delete(batch, 1, without, true), std::logic_error);
  without = entry;
  without.id = nullptr;
  EXPECT_THROW(put_entry_delete(batch, 1, without, true), std::logic_error);
  without = entry;
  without.reply = entry.id; // not a tuple
  EXPECT_THROW(put_entry_delete(batch, 1, without, true), std::logic_error);
  EXPECT_TRUE(batch.empty());
}

TEST(ConntrackMessages, ADeleteCopiesTheEntrysReplyZoneAndId) {
  const MessageBatch dumped = shown(mapping(), client());
  const Entry entry = read(dumped);
  MessageBatch batch;
  put_entry_delete(batch, 9, entry, true);
  const auto contains = [&](const nlattr* attribute) {
    const std::string_view wanted{reinterpret_cast<const char*>(attribute), attribute->nla_len};
    return std::string_view{reinterpret_cast<const char*>(batch.data()), batch.size()}.find(wanted) != std::string_view::npos;
  };
  EXPECT_TRUE(contains(entry.reply) && contains(entry.zone) && contains(entry.id));
  EXPECT_EQ(message(batch).nlmsg_seq, 9U);
  EXPECT_TRUE((message(batch).nlmsg_flags & NLM_F_ACK) != 0);
}

TEST(ConntrackMessages, APortWithoutItsProtocolIsNoFilter) {
  Filter filter = filter_of(mapping());
  filter.protocol.reset();
  MessageBatch batch;
  EXPECT_THROW(put_dump(batch, 1, Family::ipv4, filter), std::logic_error);
  EXPECT_TRUE(batch.empty()) << "no incomplete message remains";
}

/// The bits for the compared parts of the original and the reply tuple.
std::pair<std::uint32_t, std::uint32_t> compared(const Filter& filter) {
  MessageBatch batch;
  put_dump(batch, 1, Family::ipv4, filter);
  const std::string_view bytes{reinterpret_cast<const char*>(batch.data()), batch.size()};
  const auto flags = [&](char type) {
    std::uint32_t value = 0;
    const std::size_t at = bytes.rfind(std::string{8, 0, type, 0}); // CTA_FILTER is the last attribute
    if (at != std::string_view::npos) std::memcpy(&value, bytes.data() + at + 4, sizeof value);
    return value;
  };
  return {flags(CTA_FILTER_ORIG_FLAGS), flags(CTA_FILTER_REPLY_FLAGS)};
}

TEST(ConntrackMessages, AFilterComparesTheOtherEndsOfAFlowThatTheServerOpened) {
  constexpr std::uint32_t source = 0b010001, destination = 0b100010, protocol = 0b001000; // address and port
  EXPECT_EQ(compared(filter_of(mapping())), std::pair(destination | protocol, source | protocol));
  EXPECT_EQ(compared(filter_of(mapping(), Opener::server)), std::pair(source | protocol, destination | protocol));
}

TEST(ConntrackMessages, AFilterForRelatedFlowsComparesTheStatus) {
  Filter filter;
  filter.related = true;
  MessageBatch batch;
  put_dump(batch, 1, Family::ipv4, filter);
  const std::string_view bytes{reinterpret_cast<const char*>(batch.data()), batch.size()};
  for (const char type : {char{CTA_STATUS}, char{CTA_STATUS_MASK}})
    EXPECT_NE(bytes.find(std::string{8, 0, type, 0, 0, 0, 0, IPS_EXPECTED}), std::string_view::npos) << int{type};
}

TEST(ConntrackMessages, AFilterMatchesItsMappingAndNoNeighbour) {
  const Filter filter = filter_of(mapping());
  EXPECT_TRUE(matches(filter, mapping()));
  EXPECT_TRUE(matches({}, mapping()));
  Mapping other = mapping();
  other.server.port = 1;
  EXPECT_FALSE(matches(filter, other));
  other = mapping(Protocol::udp);
  EXPECT_FALSE(matches(filter, other));
}

} // namespace
} // namespace hanat::nat
