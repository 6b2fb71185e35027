// The packet of a nudge, byte by byte. Checksums are verified like a receiver does, by summing up the packet.
#include "nat/nudge.hpp"

#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace hanat::nat {
namespace {

using Bytes = std::vector<std::uint8_t>;

Endpoint end_point(const char* where, std::uint16_t port) {
  const auto parsed = Address::parse(where);
  if (!parsed) throw std::invalid_argument(where);
  return {.address = *parsed, .port = port};
}
const Nudge nudge4{end_point("203.0.113.10", 443), end_point("198.18.1.2", 40000)};
const Nudge nudge6{end_point("2001:db8::10", 443), end_point("fd00:1::2", 40000)};

/// 0xffff: the checksum in these bytes is correct.
std::uint32_t folded_sum(std::span<const std::uint8_t> bytes) {
  std::uint32_t total = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) total += static_cast<std::uint32_t>(bytes[i] << 8 | bytes[i + 1]);
  while (total > 0xffff) total = (total & 0xffff) + (total >> 16U);
  return total;
}

Bytes with_pseudo_header(std::span<const std::uint8_t> addresses, std::span<const std::uint8_t> segment) {
  Bytes bytes(addresses.begin(), addresses.end());
  bytes.insert(bytes.end(), {0, 6, 0, static_cast<std::uint8_t>(segment.size())});
  bytes.insert(bytes.end(), segment.begin(), segment.end());
  return bytes;
}

TEST(NudgePacket, ForIPv4IsABareAckFromTheVirtualEndpoint) {
  const Bytes packet = nudge_packet(nudge4);
  ASSERT_EQ(packet.size(), 40U);
  const std::span all{packet};
  EXPECT_EQ((Bytes{packet.begin(), packet.begin() + 10}), (Bytes{0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6}))
      << "version, length, do not fragment, TCP";
  EXPECT_EQ((Bytes{packet.begin() + 12, packet.begin() + 20}), (Bytes{203, 0, 113, 10, 198, 18, 1, 2}));
  EXPECT_EQ((Bytes{packet.begin() + 20, packet.begin() + 36}),
            (Bytes{443 >> 8, 443 & 0xff, 40000 >> 8, 40000 & 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10, 4, 0}))
      << "ports, sequence numbers 0, a header of 20 bytes, ACK";
  EXPECT_EQ(folded_sum(all.first(20)), 0xffffU);
  EXPECT_EQ(folded_sum(with_pseudo_header(all.subspan(12, 8), all.subspan(20))), 0xffffU);
}

TEST(NudgePacket, ForIPv6IsABareAck) {
  const Bytes packet = nudge_packet(nudge6);
  ASSERT_EQ(packet.size(), 60U);
  const std::span all{packet};
  EXPECT_EQ((Bytes{packet.begin(), packet.begin() + 8}), (Bytes{0x60, 0, 0, 0, 0, 20, 6, 64}));
  EXPECT_EQ(packet[8], 0x20);
  EXPECT_EQ(packet[24], 0xfd);
  EXPECT_EQ(packet[40 + 13], 0x10) << "only ACK";
  EXPECT_EQ(folded_sum(with_pseudo_header(all.subspan(8, 32), all.subspan(40))), 0xffffU);
}

TEST(NudgePacket, ForConnectedClientsBehindARouterIsASynAndAck) {
  for (Nudge nudge : {nudge4, nudge6}) {
    const Bytes ack = nudge_packet(nudge);
    nudge.segment = Segment::syn_ack;
    const Bytes packet = nudge_packet(nudge);
    ASSERT_EQ(packet.size(), ack.size());
    const std::size_t tcp = packet.size() - 20;
    EXPECT_EQ(packet[tcp + 13], 0x12);
    EXPECT_EQ((Bytes{packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(tcp) + 13}),
              (Bytes{ack.begin(), ack.begin() + static_cast<std::ptrdiff_t>(tcp) + 13}))
        << "nothing else differs but the checksum";
    const std::span all{packet};
    const std::size_t addresses = nudge.to.address.bytes().size() * 2;
    EXPECT_EQ(folded_sum(with_pseudo_header(all.subspan(tcp - addresses, addresses), all.subspan(tcp))), 0xffffU);
  }
}

TEST(NudgePacket, HasACorrectChecksumForEveryPort) {
  for (std::uint32_t port = 1; port <= 65'535; port += 257) {
    Nudge nudge = nudge4;
    nudge.to.port = static_cast<std::uint16_t>(port);
    const Bytes packet = nudge_packet(nudge);
    const std::span all{packet};
    ASSERT_EQ(folded_sum(with_pseudo_header(all.subspan(12, 8), all.subspan(20))), 0xffffU) << port;
  }
}

TEST(NudgePacket, NeedsAddressesOfOneFamily) { EXPECT_THROW(nudge_packet({.from = nudge4.from, .to = nudge6.to}), std::invalid_argument); }

} // namespace
} // namespace hanat::nat
