// ICMP messages: requests, replies, errors about requests, and everything else.
#include <string>

#include <gtest/gtest.h>

#include "probes/kinds/icmp_message.hpp"

namespace hanat::probes {
namespace {

using namespace std::string_literals;

constexpr EchoKey echo_key{.id = 0x1122, .sequence = 0x3344, .token = 0x0102030405060708};

std::string with_checksum(std::string message) {
  message[2] = message[3] = 0;
  std::uint32_t sum = 0;
  for (std::size_t at = 0; at < message.size(); ++at)
    sum += static_cast<std::uint32_t>(static_cast<std::uint8_t>(message[at])) << (at % 2 == 0 ? 8 : 0);
  while (sum >> 16 != 0) sum = (sum & 0xffffU) + (sum >> 16);
  message[2] = static_cast<char>(~sum >> 8);
  message[3] = static_cast<char>(~sum);
  return message;
}
/// 198.18.0.1 to 198.18.0.2
std::string in_ipv4(const std::string& payload, char protocol = 1) {
  return "\x45\0\0\0\0\0\0\0\x40"s + protocol + "\0\0\xc6\x12\0\1\xc6\x12\0\2"s + payload;
}
/// fd00::1 to fd00::2
std::string in_ipv6(const std::string& payload, char protocol = 58) {
  return "\x60\0\0\0\0\0"s + protocol + "\x40"s + "\xfd"s + std::string(14, '\0') + "\1\xfd"s + std::string(14, '\0') + "\2"s + payload;
}
std::string echo_reply(Family family) {
  std::string message = echo_request(family, echo_key);
  message[0] = family == Family::ipv4 ? '\0' : '\x81';
  return family == Family::ipv4 ? in_ipv4(with_checksum(message)) : message;
}
std::string error4(char type, char code, const std::string& quoted) {
  return in_ipv4(with_checksum(std::string{type, code} + std::string(6, '\0') + quoted));
}
std::string error6(char type, char code, const std::string& quoted) { return std::string{type, code} + std::string(6, '\0') + quoted; }

TEST(IcmpMessage, ARequestHoldsItsKey) {
  EXPECT_EQ(echo_request(Family::ipv4, echo_key), with_checksum("\x08\0\0\0\x11\x22\x33\x44\1\2\3\4\5\6\7\x08"s));
  EXPECT_EQ(echo_request(Family::ipv6, echo_key), "\x80\0\0\0\x11\x22\x33\x44\1\2\3\4\5\6\7\x08"s);
}

TEST(IcmpMessage, AReplyIsParsed) {
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    const auto received = parse_icmp(family, echo_reply(family));
    ASSERT_TRUE(received);
    EXPECT_EQ(received->reason, Reason::answered);
    EXPECT_EQ(received->key, echo_key);
    EXPECT_FALSE(received->quoted);
  }
}

TEST(IcmpMessage, ATruncatedOrChangedReplyIsNot) {
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    const auto whole = echo_reply(family);
    for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(parse_icmp(family, whole.substr(0, size))) << size;
    EXPECT_FALSE(parse_icmp(family, family == Family::ipv4 ? in_ipv4(echo_request(family, echo_key)) : echo_request(family, echo_key)));
  }
  auto changed = echo_reply(Family::ipv4);
  changed.back() ^= 1; // the checksum
  EXPECT_FALSE(parse_icmp(Family::ipv4, changed));
  auto fragment = echo_reply(Family::ipv4);
  fragment[7] = 1;
  EXPECT_FALSE(parse_icmp(Family::ipv4, fragment));
  auto options = echo_reply(Family::ipv4);
  options[0] = '\x4f'; // a header of 60 bytes
  EXPECT_FALSE(parse_icmp(Family::ipv4, options));
  EXPECT_FALSE(parse_icmp(Family::ipv4, in_ipv4(echo_reply(Family::ipv4).substr(20), 17)));
}

TEST(IcmpMessage, AnErrorAboutARequestIsParsed) {
  struct Case {
    char type, code;
    Reason reason;
  };
  const auto quoted4 = in_ipv4(echo_request(Family::ipv4, echo_key)), quoted6 = in_ipv6(echo_request(Family::ipv6, echo_key));
  for (const auto& [type, code, reason] :
       {Case{3, 0, Reason::net_unreachable}, Case{3, 1, Reason::host_unreachable}, Case{3, 2, Reason::refused}, Case{3, 3, Reason::refused},
        Case{3, 13, Reason::host_unreachable}, Case{11, 0, Reason::host_unreachable}}) {
    const auto received = parse_icmp(Family::ipv4, error4(type, code, quoted4));
    ASSERT_TRUE(received);
    EXPECT_EQ(received->reason, reason);
    EXPECT_EQ(received->key, echo_key);
    EXPECT_EQ(received->quoted, Address::parse("198.18.0.2"));
  }
  for (const auto& [type, code, reason] :
       {Case{1, 0, Reason::net_unreachable}, Case{1, 3, Reason::host_unreachable}, Case{1, 4, Reason::refused},
        Case{1, 1, Reason::host_unreachable}, Case{3, 0, Reason::host_unreachable}}) {
    const auto received = parse_icmp(Family::ipv6, error6(type, code, quoted6));
    ASSERT_TRUE(received);
    EXPECT_EQ(received->reason, reason);
    EXPECT_EQ(received->key, echo_key);
    EXPECT_EQ(received->quoted, Address::parse("fd00::2"));
  }
}

TEST(IcmpMessage, AnErrorMayQuoteOnlyEightBytes) {
  const auto received = parse_icmp(Family::ipv4, error4(3, 1, in_ipv4(echo_request(Family::ipv4, echo_key).substr(0, 8))));
  ASSERT_TRUE(received);
  EXPECT_FALSE(received->has_token);
  EXPECT_EQ(received->key.sequence, echo_key.sequence);
  EXPECT_FALSE(parse_icmp(Family::ipv4, error4(3, 1, in_ipv4(echo_request(Family::ipv4, echo_key).substr(0, 7)))));
}

TEST(IcmpMessage, AnErrorAboutAnotherPacketIsNot) {
  EXPECT_FALSE(parse_icmp(Family::ipv4, error4(3, 3, in_ipv4("12345678", 17))));                       // UDP
  EXPECT_FALSE(parse_icmp(Family::ipv4, error4(3, 1, echo_reply(Family::ipv4))));                      // a reply
  EXPECT_FALSE(parse_icmp(Family::ipv4, error4(3, 4, in_ipv4(echo_request(Family::ipv4, echo_key))))); // too long for the path
  EXPECT_FALSE(parse_icmp(Family::ipv4, error4(5, 1, in_ipv4(echo_request(Family::ipv4, echo_key))))); // a redirect
  EXPECT_FALSE(parse_icmp(Family::ipv4, error4(3, 1, in_ipv6(echo_request(Family::ipv6, echo_key))))); // of the other family
  EXPECT_FALSE(parse_icmp(Family::ipv6, error6(1, 4, in_ipv6("12345678", 17))));
  EXPECT_FALSE(parse_icmp(Family::ipv6, error6(2, 0, in_ipv6(echo_request(Family::ipv6, echo_key)))));
}

} // namespace
} // namespace hanat::probes
