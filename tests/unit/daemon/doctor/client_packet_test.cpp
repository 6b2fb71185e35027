// The packets of hanatd's own client, and what comes back. Not here: sending them.
#include "daemon/doctor/client_packet.hpp"

#include <gtest/gtest.h>
#include <netinet/tcp.h>

namespace hanat {
namespace {

Endpoint at(const char* address, std::uint16_t port) { return {*Address::parse(address), port}; }

std::uint16_t folded(const Packet& packet, std::size_t begin, std::size_t end, std::uint32_t sum = 0) {
  for (std::size_t i = begin; i < end; ++i) sum += std::uint32_t{packet[i]} << ((i - begin) % 2 == 0 ? 8U : 0U);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16U);
  return static_cast<std::uint16_t>(sum);
}

const Endpoint client4 = at("198.19.255.253", 12'345), vip4 = at("203.0.113.10", 443);
const Endpoint client6 = at("fd68:616e:6174::fd", 12'345), vip6 = at("2001:db8::10", 443);

TEST(ClientPacket, HasCorrectChecksums) {
  const Packet syn = tcp_packet(client4, vip4, TH_SYN, 0x12340000);
  ASSERT_EQ(syn.size(), 44U);
  EXPECT_EQ(folded(syn, 0, 20), 0xffff) << "IPv4 header";
  EXPECT_EQ(folded(syn, 12, 44, 6 + 24), 0xffff) << "TCP, with addresses, protocol and length";
  EXPECT_EQ(syn[32] >> 4U, 6) << "the header's length in words";
  EXPECT_EQ(Packet(syn.begin() + 40, syn.end()), (Packet{2, 4, 0x05, 0xb4})) << "the largest segment: 1,460 bytes";
  const Packet reset = tcp_packet(client4, vip4, TH_RST, 0x12340000);
  ASSERT_EQ(reset.size(), 40U) << "no option";
  EXPECT_EQ(folded(reset, 12, 40, 6 + 20), 0xffff);
  const Packet six = udp_packet(client6, vip6, "odd");
  EXPECT_EQ(folded(six, 8, six.size(), 17 + 8 + 3), 0xffff);
}

TEST(ClientPacket, RecognisesItsReplies) {
  const auto syn_ack = parse_reply(tcp_packet(vip4, client4, TH_SYN | TH_ACK, 99, 0x12340001));
  ASSERT_TRUE(syn_ack);
  EXPECT_EQ(syn_ack->kind, ReplyKind::syn_ack);
  EXPECT_EQ(syn_ack->client, client4);
  EXPECT_EQ(syn_ack->peer, vip4);
  EXPECT_EQ(syn_ack->acknowledged, 0x12340001U);
  EXPECT_EQ(parse_reply(tcp_packet(vip6, client6, TH_RST | TH_ACK, 0, 1))->kind, ReplyKind::reset);
  EXPECT_EQ(parse_reply(udp_packet(vip4, client4, "x"))->kind, ReplyKind::datagram);
  EXPECT_FALSE(parse_reply(tcp_packet(vip4, client4, TH_ACK, 1, 2))) << "of an established connection";
  EXPECT_FALSE(parse_reply(echo_request(vip4.address, client4.address, 7))) << "a request";
}

TEST(ClientPacket, ReadsWhatAnIcmpErrorIsAbout) {
  Packet error = echo_request(*Address::parse("192.0.2.1"), client4.address, 0);
  error[20] = 3;  // destination unreachable
  error[21] = 13; // administratively prohibited
  const Packet syn = tcp_packet(client4, vip4, TH_SYN, 1);
  error.insert(error.end(), syn.begin(), syn.begin() + 28);
  const auto reply = parse_reply(error);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->kind, ReplyKind::icmp_error);
  EXPECT_EQ(reply->client, client4);
  EXPECT_EQ(reply->peer, vip4);
  EXPECT_EQ(reply->reporter.text(), "192.0.2.1");
  EXPECT_EQ(reply->code, 13);
}

TEST(ClientPacket, SurvivesEveryTruncation) {
  Packet error = echo_request(vip6.address, client6.address, 0);
  error[40] = 1;
  const Packet syn = tcp_packet(client6, vip6, TH_SYN, 1);
  error.insert(error.end(), syn.begin(), syn.end());
  for (const Packet& whole : {error, syn, udp_packet(client4, vip4, "payload"), echo_request(client4.address, vip4.address, 3)})
    for (std::size_t length = 0; length < whole.size(); ++length) {
      static_cast<void>(parse_reply(std::span{whole}.first(length)));
      static_cast<void>(parse_segment(std::span{whole}.first(length)));
    }
}

} // namespace
} // namespace hanat
