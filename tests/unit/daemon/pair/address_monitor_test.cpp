// On which interfaces an address is, by the kernel's messages. Not here: the kernel (tests/netns/daemon/pair).
#include "daemon/pair/address_monitor.hpp"

#include <cstdint>
#include <memory>
#include <variant>

#include <gtest/gtest.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

namespace hanat {
namespace {

using probes::AddressChange;

const Address ours = *Address::parse("203.0.113.10");

TEST(AddressPlaces, AnAddressIsHereWhileAnyInterfaceHasIt) {
  AddressPlaces places{ours};
  EXPECT_FALSE(places.here());
  places.take({.address = *Address::parse("203.0.113.11"), .interface = 2});
  EXPECT_FALSE(places.here()) << "another one";
  places.take({.address = ours, .interface = 2});
  places.take({.address = ours, .interface = 2});
  places.take({.address = ours, .interface = 3});
  places.take({.address = ours, .interface = 2, .removed = true});
  EXPECT_TRUE(places.here());
  places.take({.address = ours, .interface = 3, .removed = true});
  EXPECT_FALSE(places.here());
}

TEST(AddressPlaces, OneThatIsNotUsableIsNotHere) {
  AddressPlaces places{ours};
  places.take({.address = ours, .interface = 2, .usable = false});
  EXPECT_FALSE(places.here());
  places.take({.address = ours, .interface = 2});
  EXPECT_TRUE(places.here());
  places.take({.address = ours, .interface = 2, .usable = false}); // another machine has it, too
  EXPECT_FALSE(places.here());
}

/// A message of the kernel about an IPv6 address; `flags`: also those beyond the eight of the header.
AddressChange change_with(std::uint32_t flags, bool long_flags) {
  const std::unique_ptr<nl_msg, decltype(&nlmsg_free)> message{nlmsg_alloc(), nlmsg_free};
  const ifaddrmsg info{
      .ifa_family = AF_INET6, .ifa_prefixlen = 128, .ifa_flags = static_cast<std::uint8_t>(flags), .ifa_scope = 0, .ifa_index = 7};
  nlmsg_put(message.get(), 0, 0, RTM_NEWADDR, 0, 0);
  nlmsg_append(message.get(), const_cast<ifaddrmsg*>(&info), sizeof info, NLMSG_ALIGNTO); // only read
  const Address address = *Address::parse("2001:db8::10");
  nla_put(message.get(), IFA_ADDRESS, 16, address.bytes().data());
  if (long_flags) nla_put_u32(message.get(), IFA_FLAGS, flags);
  const auto change = probes::change_in(*nlmsg_hdr(message.get()));
  EXPECT_TRUE(change && std::holds_alternative<AddressChange>(*change));
  return std::get<AddressChange>(*change);
}

TEST(AddressPlaces, AnAddressThatIsBeingProvedOrIsAnothersIsNotUsable) {
  for (const bool long_flags : {false, true}) {
    EXPECT_TRUE(change_with(IFA_F_PERMANENT, long_flags).usable);
    EXPECT_FALSE(change_with(IFA_F_TENTATIVE, long_flags).usable);
    EXPECT_FALSE(change_with(IFA_F_PERMANENT | IFA_F_TENTATIVE | IFA_F_DADFAILED, long_flags).usable);
    EXPECT_EQ(change_with(0, long_flags).interface, 7U);
  }
}

} // namespace
} // namespace hanat
