// The other gateway's hanat.toml is named as such.
#include "daemon/peer/own_address.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hanat {
namespace {

using testing::HasSubstr;

const PeerConfig swapped{.peer = {.address = Address::parse("10.0.1.2").value(), .port = 9718},
                         .listen = {.address = Address::parse("10.0.1.1").value(), .port = 9718}};

TEST(OwnAddress, TheOtherGatewaysFileIsNamedWithTheRemedy) {
  EXPECT_EQ(wrong_addresses(swapped, false, true),
            "listen in [pair], 10.0.1.1:9718, is no address of this machine, and peer, 10.0.1.2:9718, is: this hanat.toml is the other "
            "gateway's; swap the two, then hanatctl reload");
  EXPECT_THAT(wrong_addresses(swapped, false, false).value_or(""), HasSubstr("10.0.1.1:9718, is no address of this machine: give it to"));
  EXPECT_THAT(wrong_addresses(swapped, true, true).value_or(""), HasSubstr("10.0.1.2:9718, is an address of this machine: name the other"));
  EXPECT_EQ(wrong_addresses(swapped, true, false), std::nullopt);
}

TEST(OwnAddress, WhatThisMachineHasIsFound) {
  EXPECT_TRUE(is_own_address(Address::parse("127.0.0.1").value()));
  EXPECT_FALSE(is_own_address(Address::parse("192.0.2.1").value()));
  EXPECT_FALSE(is_own_address(Address::parse("2001:db8::1").value()));
}

} // namespace
} // namespace hanat
