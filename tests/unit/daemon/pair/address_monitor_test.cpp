// On which interfaces an address is, by the kernel's messages. Not here: the kernel (tests/netns/daemon/pair).
#include "daemon/pair/address_monitor.hpp"

#include <cstdint>
#include <cstring>
#include <variant>

#include <gtest/gtest.h>
#include <libmnl/libmnl.h>

#include <linux/rtnetlink.h>

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
  alignas(nlmsghdr) char bytes[256]{};
  nlmsghdr* message = mnl_nlmsg_put_header(bytes);
  message->nlmsg_type = RTM_NEWADDR;
  ifaddrmsg info{};
  info.ifa_family = AF_INET6;
  info.ifa_flags = static_cast<std::uint8_t>(flags);
  info.ifa_index = 7;
  std::memcpy(mnl_nlmsg_put_extra_header(message, sizeof info), &info, sizeof info);
  const Address address = *Address::parse("2001:db8::10");
  mnl_attr_put(message, IFA_ADDRESS, address.bytes().size(), address.bytes().data());
  if (long_flags) mnl_attr_put_u32(message, IFA_FLAGS, flags);
  const auto change = probes::change_in(*message);
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
