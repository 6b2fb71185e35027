// An address that is gone for a moment is not gone.
#include "daemon/interfaces/address_hold.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hanat::interfaces {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

const Address old_address = Address::parse("203.0.113.10").value(), new_address = Address::parse("203.0.113.20").value();

InterfaceAddresses with(std::vector<Address> addresses) {
  return {.exists = true, .up = true, .addresses = std::move(addresses), .others = {}};
}

class Hold : public testing::Test {
protected:
  std::vector<Address> look(InterfaceAddresses there) { return hold.hold("eth0", std::move(there), now).addresses; }
  AddressHold hold;
  Time now{1h};
};

TEST_F(Hold, AnAddressThatComesBackInTimeWasNeverAway) {
  EXPECT_THAT(look(with({old_address})), ElementsAre(old_address));
  EXPECT_EQ(hold.next_wakeup(), std::nullopt);
  EXPECT_THAT(look(with({})), ElementsAre(old_address));
  EXPECT_EQ(hold.next_wakeup(), now + address_hold);
  EXPECT_THAT(hold.held("eth0"), ElementsAre(testing::Pair(old_address, now + address_hold)));
  EXPECT_THAT(hold.held("eth1"), IsEmpty());
  now += address_hold - 1ms;
  EXPECT_THAT(look({}), ElementsAre(old_address)) << "its interface is gone, too";
  EXPECT_THAT(look(with({old_address})), ElementsAre(old_address));
  EXPECT_EQ(hold.next_wakeup(), std::nullopt);
}

TEST_F(Hold, OneThatStaysAwayIsGoneWhenTheTimeIsUpAndANewOneIsThereAtOnce) {
  look(with({old_address}));
  EXPECT_THAT(look(with({new_address})), ElementsAre(old_address, new_address));
  now += 1s;
  EXPECT_THAT(look(with({new_address})), ElementsAre(old_address, new_address)) << "looking does not lengthen it";
  now += 1s;
  EXPECT_THAT(look(with({new_address})), ElementsAre(new_address));
  EXPECT_EQ(hold.next_wakeup(), std::nullopt);
}

TEST_F(Hold, DuplicateAddressDetectionIsWaitedFor) {
  const Address ipv6 = Address::parse("2001:db8::1").value();
  InterfaceAddresses waits = with({}), failed = with({});
  waits.others.push_back({.address = ipv6, .why = "waits", .pending = true});
  failed.others.push_back({.address = ipv6, .why = "failed", .pending = false});
  EXPECT_THAT(look(waits), IsEmpty()) << "of one that was not there before";
  look(with({ipv6}));
  look(with({}));
  EXPECT_THAT(look(waits), ElementsAre(ipv6));
  EXPECT_THAT(hold.held("eth0"), IsEmpty()) << "it is there";
  now += 10s;
  EXPECT_THAT(look(waits), ElementsAre(ipv6));
  EXPECT_THAT(look(failed), IsEmpty());
}

TEST_F(Hold, OfInterfacesThatNobodyFollowsAnyMoreNothingIsHeld) {
  look(with({old_address}));
  look(with({}));
  hold.keep_only({"eth1"});
  EXPECT_EQ(hold.next_wakeup(), std::nullopt);
  EXPECT_THAT(look(with({})), IsEmpty());
}

} // namespace
} // namespace hanat::interfaces
