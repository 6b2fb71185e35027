// Which addresses an interface has that clients can use, by the kernel's messages.
#include "daemon/interfaces/interface_table.hpp"

#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hanat::interfaces {
namespace {

using probes::AddressChange;
using probes::Change;
using probes::Link;
using testing::ElementsAre;
using testing::IsEmpty;

Address parsed(const char* text) { return Address::parse(text).value(); }
Change link(unsigned index, const char* name, bool up = true) { return Link{.index = index, .name = name, .up = up}; }
Change gone(unsigned index) { return Link{.index = index, .name = {}, .gone = true}; }
Change has(unsigned index, const char* address) { return AddressChange{.address = parsed(address), .interface = index}; }
Change loses(unsigned index, const char* address) { return AddressChange{.address = parsed(address), .interface = index, .removed = true}; }

class Interfaces : public testing::Test {
protected:
  std::vector<Address> addresses(const char* name) const { return table.find(name).addresses; }
  InterfaceTable table;
};

TEST_F(Interfaces, AnAddressComesAndGoesAndSaysWhetherThatIsNew) {
  EXPECT_FALSE(table.find("eth0").exists);
  EXPECT_TRUE(table.take(link(2, "eth0")));
  EXPECT_TRUE(table.take(has(2, "203.0.113.10")));
  EXPECT_FALSE(table.take(has(2, "203.0.113.10"))) << "its lifetime was renewed";
  EXPECT_TRUE(table.take(has(2, "2001:db8::1")));
  EXPECT_TRUE(table.take(has(2, "203.0.113.9")));
  EXPECT_THAT(addresses("eth0"), ElementsAre(parsed("203.0.113.9"), parsed("203.0.113.10"), parsed("2001:db8::1")));
  EXPECT_TRUE(table.take(loses(2, "203.0.113.10")));
  EXPECT_FALSE(table.take(loses(2, "203.0.113.10")));
  EXPECT_THAT(addresses("eth0"), ElementsAre(parsed("203.0.113.9"), parsed("2001:db8::1")));
}

TEST_F(Interfaces, AreListedByIndexWithoutLoopback) {
  table.take(link(1, "lo"));
  table.take(link(7, "wg0", false));
  table.take(link(2, "eth0"));
  table.take(has(9, "203.0.113.10")); // its link is told later
  EXPECT_THAT(table.names(5), ElementsAre(std::pair(2U, "eth0"), std::pair(7U, "wg0")));
  EXPECT_THAT(table.names(1), ElementsAre(std::pair(2U, "eth0")));
  table.take(gone(2));
  EXPECT_THAT(table.names(5), ElementsAre(std::pair(7U, "wg0")));
}

TEST_F(Interfaces, WhatClientsCannotUseIsTold) {
  table.take(link(2, "eth0"));
  for (const char* address : {"169.254.7.7", "127.0.0.1", "fe80::1"}) table.take(has(2, address));
  table.take(AddressChange{.address = parsed("2001:db8::1"), .interface = 2, .usable = false});
  table.take(AddressChange{.address = parsed("2001:db8::2"), .interface = 2, .usable = false, .duplicate = true});
  table.take(AddressChange{.address = parsed("2001:db8::3"), .interface = 2, .temporary = true});
  const InterfaceAddresses there = table.find("eth0");
  EXPECT_THAT(there.addresses, IsEmpty());
  ASSERT_EQ(there.others.size(), 6U);
  for (const auto& other : there.others) {
    EXPECT_FALSE(other.why.empty());
    EXPECT_EQ(other.pending, other.address == parsed("2001:db8::1")) << other.address.text();
  }
  EXPECT_TRUE(table.take(has(2, "2001:db8::1"))) << "nobody else has it";
  EXPECT_THAT(addresses("eth0"), ElementsAre(parsed("2001:db8::1")));
}

TEST_F(Interfaces, TheNameCountsWhicheverInterfaceHasIt) {
  table.take(link(7, "ppp0"));
  table.take(has(7, "203.0.113.10"));
  table.take(gone(7));
  EXPECT_FALSE(table.find("ppp0").exists);
  table.take(has(9, "203.0.113.11")); // before its link is told
  table.take(link(9, "ppp1"));
  EXPECT_TRUE(table.take(link(9, "ppp0"))) << "pppd renames it";
  EXPECT_THAT(addresses("ppp0"), ElementsAre(parsed("203.0.113.11")));
  EXPECT_FALSE(table.find("ppp1").exists);
  table.take(link(9, "old"));
  table.take(link(10, "ppp0"));
  table.take(link(9, "older")); // its earlier name is another one's now
  EXPECT_TRUE(table.find("ppp0").exists);
  EXPECT_THAT(addresses("ppp0"), IsEmpty());
}

TEST_F(Interfaces, AListReplacesWhatWasKnown) {
  table.take(link(2, "eth0"));
  table.take(has(2, "203.0.113.10"));
  const std::vector<Change> all{link(3, "eth1", false), has(3, "203.0.113.12")};
  table.replace(all);
  EXPECT_FALSE(table.find("eth0").exists);
  EXPECT_FALSE(table.find("eth1").up);
  EXPECT_THAT(addresses("eth1"), ElementsAre(parsed("203.0.113.12"))) << "a link that is down keeps its IPv4 addresses";
}

} // namespace
} // namespace hanat::interfaces
