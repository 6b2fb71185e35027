// Logged packets as kernel events: bytes in, values out.
#include "probes/passive/nflog_reader.hpp"

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nat/marks.hpp"

namespace hanat::probes {
namespace {

using Packet = std::vector<std::uint8_t>;

void append(Packet& packet, const Packet& more) { packet.insert(packet.end(), more.begin(), more.end()); }

Packet logged_ipv4(std::uint8_t protocol, const char* from, const char* to, const Packet& rest) {
  Packet packet{0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0};
  for (const char* address : {from, to}) {
    const auto parsed = Address::parse(address).value();
    packet.insert(packet.end(), parsed.bytes().begin(), parsed.bytes().end());
  }
  append(packet, rest);
  return packet;
}

Packet logged_ipv6(std::uint8_t protocol, const char* from, const char* to, const Packet& rest) {
  Packet packet{0x60, 0, 0, 0, 0, 0, protocol, 64};
  for (const char* address : {from, to}) {
    const auto parsed = Address::parse(address).value();
    packet.insert(packet.end(), parsed.bytes().begin(), parsed.bytes().end());
  }
  append(packet, rest);
  return packet;
}

Packet segment(std::uint16_t from, std::uint16_t to, std::uint8_t flags) {
  const auto high = [](std::uint16_t port) { return static_cast<std::uint8_t>(port >> 8); };
  const auto low = [](std::uint16_t port) { return static_cast<std::uint8_t>(port & 0xff); };
  return {high(from), low(from), high(to), low(to), 0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0};
}

Packet icmp(std::uint8_t type, std::uint8_t code, const Packet& quoted) {
  Packet packet{type, code, 0, 0, 0, 0, 0, 0};
  append(packet, quoted);
  return packet;
}

constexpr std::uint8_t syn = 2, rst = 4, ack = 16;
Endpoint endpoint_of(const char* address, std::uint16_t port) { return {.address = Address::parse(address).value(), .port = port}; }

TEST(NflogReader, AResetNamesTheServerThatSentIt) {
  const KernelEvent v4{
      .kind = KernelEventKind::refused, .server = endpoint_of("198.18.11.2", 8443), .client = endpoint_of("198.18.1.2", 40'000)};
  EXPECT_EQ(event_in(nat::log_refused, Family::ipv4, logged_ipv4(6, "198.18.11.2", "198.18.1.2", segment(8443, 40'000, rst | ack))), v4);
  const KernelEvent v6{
      .kind = KernelEventKind::refused, .server = endpoint_of("fd00:11::2", 8443), .client = endpoint_of("fd00:1::2", 40'000)};
  EXPECT_EQ(event_in(nat::log_refused, Family::ipv6, logged_ipv6(6, "fd00:11::2", "fd00:1::2", segment(8443, 40'000, rst))), v6);
  EXPECT_EQ(event_in(nat::log_refused, Family::ipv4, logged_ipv4(6, "198.18.11.2", "198.18.1.2", segment(8443, 1, syn | ack))),
            std::nullopt);
}

TEST(NflogReader, AnAbortOfAnAssociationNamesTheServerThatSentIt) {
  const KernelEvent expected{
      .kind = KernelEventKind::refused, .server = endpoint_of("198.18.11.2", 3868), .client = endpoint_of("198.18.1.2", 40'000)};
  Packet abort{15, 28, 156, 64, 0, 0, 0, 1, 0, 0, 0, 0, 6, 0, 0, 4};
  EXPECT_EQ(event_in(nat::log_refused, Family::ipv4, logged_ipv4(132, "198.18.11.2", "198.18.1.2", abort)), expected);
  abort[12] = 2; // INIT ACK
  EXPECT_EQ(event_in(nat::log_refused, Family::ipv4, logged_ipv4(132, "198.18.11.2", "198.18.1.2", abort)), std::nullopt);
}

TEST(NflogReader, ARetransmittedSynNamesTheVip) {
  const Vip vip{.address = Address::parse("203.0.113.10").value(), .protocol = Protocol::tcp, .port = 443};
  const KernelEvent expected{.kind = KernelEventKind::unanswered, .vip = vip, .client = endpoint_of("198.18.1.2", 40'000), .sequence = 1};
  EXPECT_EQ(event_in(nat::log_unanswered, Family::ipv4, logged_ipv4(6, "198.18.1.2", "203.0.113.10", segment(40'000, 443, syn))), expected);
  for (const int flags : {syn | ack, syn | rst, int{ack}})
    EXPECT_EQ(event_in(nat::log_unanswered, Family::ipv4,
                       logged_ipv4(6, "198.18.1.2", "203.0.113.10", segment(40'000, 443, static_cast<std::uint8_t>(flags)))),
              std::nullopt);
}

TEST(NflogReader, ASynThatHasNotLeftTheGatewayIsToldFromOneThatItsServerDoesNotAnswer) {
  const auto event = event_in(nat::log_undelivered, Family::ipv6, logged_ipv6(6, "fd00:1::2", "2001:db8::10", segment(40'000, 443, syn)));
  ASSERT_TRUE(event);
  EXPECT_EQ(event->kind, KernelEventKind::undelivered);
  const auto again =
      event_in(nat::log_unacknowledged, Family::ipv6, logged_ipv6(6, "fd00:1::2", "2001:db8::10", segment(40'000, 443, syn)));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->kind, KernelEventKind::unacknowledged);
  EXPECT_EQ(event->client, endpoint_of("fd00:1::2", 40'000));
  EXPECT_EQ(event->sequence, 1U);
}

TEST(NflogReader, ASampleOfTheClientsInNoTrouble) {
  const auto event = event_in(nat::log_sample, Family::ipv4, logged_ipv4(6, "198.18.1.2", "203.0.113.10", segment(40'000, 443, syn)));
  ASSERT_TRUE(event);
  EXPECT_EQ(event->kind, KernelEventKind::opened);
  EXPECT_EQ(event->client, endpoint_of("198.18.1.2", 40'000));
  for (const KernelEventKind kind :
       {KernelEventKind::opened, KernelEventKind::served, KernelEventKind::pending, KernelEventKind::unaccepted})
    EXPECT_TRUE(is_of_sample(kind)) << to_text(kind);
  EXPECT_FALSE(is_of_sample(KernelEventKind::unanswered));
}

/// A client whose source address the gateway translates, and the packets of its server.
TEST(NflogReader, TheFlowOfAServersPacketNamesTheClientAndTheVip) {
  const Endpoint client = endpoint_of("198.18.1.2", 40'000), vip = endpoint_of("203.0.113.10", 443),
                 gateway = endpoint_of("198.18.11.1", 1'234), server = endpoint_of("198.18.11.2", 8443);
  const nat::FlowTuples flow{.original = {.protocol = Protocol::tcp, .source = client, .destination = vip},
                             .reply = {.protocol = Protocol::tcp, .source = server, .destination = gateway}};
  const Vip listener{.address = vip.address, .protocol = Protocol::tcp, .port = 443};
  const auto packet = [](std::uint8_t flags) { return logged_ipv4(6, "198.18.11.2", "198.18.11.1", segment(8443, 1'234, flags)); };
  EXPECT_EQ(event_in(nat::log_refused, Family::ipv4, packet(rst | ack), flow),
            (KernelEvent{.kind = KernelEventKind::refused, .server = server, .vip = listener, .client = client}));
  EXPECT_EQ(event_in(nat::log_answered, Family::ipv4, packet(syn | ack), flow),
            (KernelEvent{.kind = KernelEventKind::answered, .server = server, .vip = listener, .client = client}));
  EXPECT_EQ(event_in(nat::log_answered, Family::ipv4, packet(rst | ack), flow), std::nullopt);
  EXPECT_EQ(event_in(nat::log_answered, Family::ipv4, packet(syn | ack)),
            (KernelEvent{.kind = KernelEventKind::answered, .server = server, .client = gateway}))
      << "without its flow";
  const auto quoted = logged_ipv4(6, "198.18.11.1", "198.18.11.2", segment(1'234, 8443, syn));
  const auto event = event_in(nat::log_unreachable, Family::ipv4, logged_ipv4(1, "198.18.0.9", "198.18.11.1", icmp(3, 1, quoted)), flow);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->vip, listener);
  EXPECT_EQ(event->client, client);
  EXPECT_EQ(event->server, server);
}

TEST(NflogReader, ASynOnTheEntryOfAnOldConnectionNamesTheClient) {
  const Vip vip{.address = Address::parse("2001:db8::10").value(), .protocol = Protocol::tcp, .port = 443};
  const KernelEvent expected{.kind = KernelEventKind::reconnect, .vip = vip, .client = endpoint_of("fd00:1::2", 40'000), .sequence = 1};
  EXPECT_EQ(event_in(nat::log_reconnect, Family::ipv6, logged_ipv6(6, "fd00:1::2", "2001:db8::10", segment(40'000, 443, syn))), expected);
  EXPECT_EQ(event_in(nat::log_reconnect, Family::ipv6, logged_ipv6(6, "fd00:1::2", "2001:db8::10", segment(40'000, 443, ack))),
            std::nullopt);
}

TEST(NflogReader, AnIcmpErrorNamesTheDestinationOfThePacketThatItQuotes) {
  Packet ports = segment(40'000, 8443, syn);
  ports.resize(8); // the minimum that a router quotes
  const auto quoted = logged_ipv4(17, "198.18.1.2", "198.18.11.2", ports);
  const auto event = event_in(nat::log_unreachable, Family::ipv4, logged_ipv4(1, "198.18.0.9", "198.18.1.2", icmp(3, 1, quoted)));
  ASSERT_TRUE(event);
  EXPECT_EQ(event->kind, KernelEventKind::unreachable);
  EXPECT_EQ(event->server, endpoint_of("198.18.11.2", 8443));
  EXPECT_EQ(event->vip, (Vip{.address = Address::parse("198.18.11.2").value(), .protocol = Protocol::udp, .port = 8443}));
  EXPECT_EQ(event->detail, "host unreachable, reported by 198.18.0.9");
  const auto quoted6 = logged_ipv6(6, "fd00:1::2", "fd00:11::2", segment(40'000, 8443, syn));
  const auto event6 = event_in(nat::log_unreachable, Family::ipv6, logged_ipv6(58, "fd00:11::2", "fd00:1::2", icmp(1, 4, quoted6)));
  ASSERT_TRUE(event6);
  EXPECT_EQ(event6->detail, "port unreachable, reported by fd00:11::2");
}

TEST(NflogReader, PathMtuDiscoveryAndOtherIcmpAreNoEvent) {
  const auto quoted = logged_ipv4(6, "198.18.1.2", "198.18.11.2", segment(40'000, 8443, ack));
  for (const auto& [type, code] : {std::pair{3, 4}, std::pair{11, 0}, std::pair{0, 0}, std::pair{5, 1}})
    EXPECT_EQ(event_in(nat::log_unreachable, Family::ipv4,
                       logged_ipv4(1, "198.18.0.9", "198.18.1.2",
                                   icmp(static_cast<std::uint8_t>(type), static_cast<std::uint8_t>(code), quoted))),
              std::nullopt)
        << type << '/' << code;
}

TEST(NflogReader, ExtensionHeadersAreSkippedAndLaterFragmentsIgnored) {
  const auto with = [](std::uint8_t next, Packet header) {
    append(header, segment(8443, 40'000, rst));
    return event_in(nat::log_refused, Family::ipv6, logged_ipv6(next, "fd00:11::2", "fd00:1::2", header));
  };
  EXPECT_TRUE(with(0, {6, 0, 1, 4, 0, 0, 0, 0}));
  EXPECT_TRUE(with(60, {44, 0, 1, 4, 0, 0, 0, 0, 6, 0, 0, 1, 0, 0, 0, 7})); // the first fragment
  EXPECT_FALSE(with(44, {6, 0, 1, 0, 0, 0, 0, 7}));
  EXPECT_FALSE(with(0, {6, 200, 0, 0, 0, 0, 0, 0})); // longer than the packet
}

TEST(NflogReader, ATruncatedPacketIsNoEvent) {
  const auto quoted = logged_ipv4(6, "198.18.1.2", "198.18.11.2", segment(40'000, 8443, syn));
  const auto whole = logged_ipv4(1, "198.18.0.9", "198.18.1.2", icmp(3, 1, quoted));
  for (std::size_t length = 0; length < 20 + 8 + 20 + 4; ++length)
    EXPECT_FALSE(event_in(nat::log_unreachable, Family::ipv4, std::span{whole}.first(length))) << length;
  EXPECT_TRUE(event_in(nat::log_unreachable, Family::ipv4, std::span{whole}.first(20 + 8 + 20 + 4)));
  EXPECT_FALSE(event_in("another prefix", Family::ipv4, whole));
  EXPECT_FALSE(event_in(nat::log_unreachable, Family::ipv6, whole));
}

} // namespace
} // namespace hanat::probes
