// Which flows have a place, and which stray.
#include "nat/ledger.hpp"

#include <array>
#include <stdexcept>

#include <gtest/gtest.h>

namespace hanat::nat {
namespace {

Endpoint ledger_place(const char* address, std::uint16_t port) {
  const auto parsed = Address::parse(address);
  if (!parsed) throw std::invalid_argument(address);
  return {*parsed, port};
}
const Vip ledger_web{ledger_place("203.0.113.10", 0).address, Protocol::tcp, 443};
const Vip ledger_udp{ledger_web.address, Protocol::udp, 443};
const Endpoint ledger_primary = ledger_place("198.18.1.2", 8443), ledger_backup = ledger_place("198.18.2.2", 8443);

TEST(Ledger, HasAPlaceForEveryFlowThatIsNotHanats) {
  const Ledger empty;
  EXPECT_FALSE(empty.stray({ledger_web, ledger_primary}));
  EXPECT_FALSE(empty.about(Family::ipv4));
  Ledger ledger;
  ledger.allow(ledger_web, std::array{ledger_primary});
  EXPECT_FALSE(ledger.stray({ledger_udp, ledger_backup})) << "another protocol";
  EXPECT_TRUE(ledger.about(Family::ipv4));
  EXPECT_FALSE(ledger.about(Family::ipv6));
  EXPECT_FALSE(ledger.stray({{ledger_web.address, Protocol::tcp, 22}, ledger_backup})) << "another port";
}

TEST(Ledger, FindsFlowsOfAnEndpointThatAreAtNoServerOfIts) {
  Ledger ledger;
  ledger.allow(ledger_web, std::array{ledger_primary});
  ledger.allow(ledger_udp, {});
  EXPECT_FALSE(ledger.stray({ledger_web, ledger_primary}));
  EXPECT_TRUE(ledger.stray({ledger_web, ledger_backup}));
  EXPECT_TRUE(ledger.stray({ledger_web, {ledger_primary.address, 1}})) << "another port of the same server";
  EXPECT_TRUE(ledger.stray(untranslated(ledger_web)));
  EXPECT_TRUE(ledger.stray({ledger_udp, ledger_primary})) << "nobody is to be served";
  ledger.allow(ledger_web, std::array{ledger_backup});
  EXPECT_FALSE(ledger.stray({ledger_web, ledger_backup}));
  EXPECT_FALSE(ledger.stray({ledger_web, ledger_primary}));
}

TEST(Ledger, LooksAwayFromWhatIsKnownToBeOnItsWay) {
  Ledger ledger;
  ledger.allow(ledger_web, std::array{ledger_primary});
  ledger.spare({ledger_web, ledger_backup});
  EXPECT_FALSE(ledger.stray({ledger_web, ledger_backup}));
}

TEST(Ledger, OfAnEndpointThatWasGivenUpFindsOnlyWhatWasHanats) {
  Ledger ledger;
  ledger.give_up({ledger_web, ledger_primary});
  EXPECT_TRUE(ledger.stray({ledger_web, ledger_primary}));
  EXPECT_FALSE(ledger.stray({ledger_web, ledger_backup})) << "somebody else's by now";
  ledger.spare({ledger_web, ledger_primary});
  EXPECT_FALSE(ledger.stray({ledger_web, ledger_primary}));
  Ledger anew;
  anew.give_up({ledger_web, ledger_primary});
  anew.allow(ledger_web, std::array{ledger_primary});
  EXPECT_FALSE(anew.stray({ledger_web, ledger_primary})) << "hanat's again";
}

TEST(Ledger, ARangeHasPlaceForFlowsThatKeepTheirPort) {
  const Vip range{.address = ledger_web.address, .protocol = Protocol::tcp, .port = 5'000, .last = 9'000};
  Ledger ledger;
  ledger.allow(range, std::vector<Endpoint>{{.address = ledger_primary.address, .port = 0}});
  const auto flow = [](std::uint16_t port, const Address& server, std::uint16_t server_port) {
    return Mapping{.vip = {.address = ledger_web.address, .protocol = Protocol::tcp, .port = port},
                   .server = {.address = server, .port = server_port}};
  };
  EXPECT_EQ(ledger.stray(flow(6'000, ledger_primary.address, 6'000)), std::nullopt);
  EXPECT_EQ(ledger.stray(flow(9'001, ledger_backup.address, 9'001)), std::nullopt) << "none of the range's";
  const Mapping of_the_range{.vip = range, .server = {.address = ledger_backup.address, .port = 0}};
  EXPECT_EQ(ledger.stray(flow(6'000, ledger_backup.address, 6'000)), of_the_range);
  EXPECT_EQ(ledger.stray(flow(6'000, ledger_primary.address, 6'001)), flow(6'000, ledger_primary.address, 6'001)) << "by itself";
  EXPECT_EQ(ledger.stray(of_the_range), of_the_range) << "asked again, later";
  EXPECT_EQ(ledger.stray(flow(6'000, ledger_web.address, 6'000)), untranslated(range));
  ledger.spare(of_the_range);
  EXPECT_EQ(ledger.stray(flow(6'000, ledger_backup.address, 6'000)), std::nullopt);
}

} // namespace
} // namespace hanat::nat
