// keepalived as the kernel's list of raw sockets shows it.
#include "daemon/pair/vrrp.hpp"

#include <string>

#include <gtest/gtest.h>

namespace hanat {
namespace {

const std::string head =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n";
const std::string rest = " 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 378 2 00000000d9efaaf1 0\n";

TEST(Vrrp, ASocketOfProtocol112IsFoundInEachFamily) {
  EXPECT_EQ(has_vrrp_socket(head + " 153: 120000E0:0070" + rest), true);
  EXPECT_EQ(has_vrrp_socket(head + "   1: 00000000:0001" + rest + "  34: 020012C6:0070" + rest), true) << "unicast";
  EXPECT_EQ(has_vrrp_socket(head + "  166: 000002FF000000000000000012000000:0070 00000000000000000000000000000000:0000" + rest), true);
  EXPECT_EQ(has_vrrp_socket(head + "   1: 00000070:0001" + rest + "  2: 00000000:00FF" + rest), false) << "a ping, and a nudge";
  EXPECT_EQ(has_vrrp_socket(head), false);
  EXPECT_EQ(has_vrrp_socket(head + "nonsense\n"), false);
  EXPECT_EQ(has_vrrp_socket(""), std::nullopt);
}

TEST(Vrrp, OneThatWasSeenIsMissedWhenThatLastsLongerThanARestart) {
  VrrpJudge judge;
  EXPECT_EQ(judge.take(true, false), Vrrp::ok);
  EXPECT_EQ(judge.take(false, false), Vrrp::ok);
  EXPECT_EQ(judge.take(false, false), Vrrp::ok);
  EXPECT_EQ(judge.take(std::nullopt, false), Vrrp::ok); // the kernel does not say
  EXPECT_EQ(judge.take(false, false), Vrrp::absent);
  EXPECT_EQ(judge.take(false, false), Vrrp::absent);
  EXPECT_EQ(judge.take(true, false), Vrrp::ok);
}

TEST(Vrrp, WhereNoGatewayEverSpokeItNothingIsMissed) {
  VrrpJudge judge;
  for (int reading = 0; reading < 100; ++reading) ASSERT_EQ(judge.take(false, false), Vrrp::unknown) << "pacemaker moves the address";
}

TEST(Vrrp, WhereTheOtherGatewaySpeaksItItIsMissedAfterABoot) {
  VrrpJudge judge;
  for (int reading = 0; reading < 29; ++reading) ASSERT_EQ(judge.take(false, true), Vrrp::unknown) << reading;
  EXPECT_EQ(judge.take(false, true), Vrrp::absent);
  EXPECT_EQ(judge.take(false, false), Vrrp::absent) << "the other one has stopped, too";
}

} // namespace
} // namespace hanat
