// What is shown of a service that listens on interfaces.
#include "cli/listening.hpp"

#include <gmock/gmock.h>

#include "cli/totals.hpp"
#include "tests/unit/cli/show_fixture.hpp"

namespace hanat::cli {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using Listening = Show;

ServiceStatus on_interface(std::vector<std::string> addresses, std::vector<std::string> problems = {}) {
  ServiceStatus service = web();
  service.listen = {"eth0:443/tcp"};
  service.interfaces = {
      {.listen = "eth0:443/tcp", .interface = "eth0", .addresses = std::move(addresses), .problems = std::move(problems)}};
  return service;
}

TEST_F(Listening, TheAddressesStandBesideTheInterface) {
  EXPECT_EQ(listening_on(web()), "203.0.113.10:443/tcp, 203.0.113.10:443/udp");
  EXPECT_EQ(listening_on(on_interface({"203.0.113.10", "2001:db8::1"})), "eth0:443/tcp (203.0.113.10, 2001:db8::1)");
  EXPECT_EQ(listening_on(on_interface({"1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4", "1.1.1.5"})),
            "eth0:443/tcp (1.1.1.1, 1.1.1.2, 1.1.1.3, 1.1.1.4 and 1 more)");
  EXPECT_EQ(listening_on(on_interface({})), "eth0:443/tcp (nowhere at the moment)");
  EXPECT_THAT(notices(on_interface({"203.0.113.10"}), now), IsEmpty());
}

TEST_F(Listening, AServiceThatListensNowhereIsNotServed) {
  ServiceStatus service = on_interface({}, {"there is no interface eth0"});
  EXPECT_FALSE(is_served(service));
  EXPECT_THAT(
      notices(service, now),
      Contains(Notice{true, "it listens nowhere: there is no interface eth0. To see the interface:", {"ip address show dev eth0"}}));
  service.listen.emplace_back("203.0.113.10:443/tcp");
  EXPECT_TRUE(is_served(service));
  EXPECT_THAT(notices(service, now),
              ElementsAre(Notice{true, "it does not listen on all of eth0:443/tcp: there is no interface eth0", {}}));
}

TEST_F(Listening, AnAddressThatIsGoneIsShownAsLongAsItIsHeld) {
  ServiceStatus service = on_interface({"203.0.113.10", "203.0.113.20"});
  service.interfaces[0].held = {{.address = "203.0.113.10", .left_s = 1.42}};
  EXPECT_EQ(listening_on(service), "eth0:443/tcp (203.0.113.10 gone, held for 1.4 s, 203.0.113.20)");
  EXPECT_THAT(notices(service, now),
              ElementsAre(Notice{false, "203.0.113.10 is gone from eth0: held for 1.4 s, then its connections are cut"}));
}

TEST_F(Listening, WhoListensNowhereIsNotAtItsPrimary) {
  EXPECT_EQ(totals_of(with({web()})), "1 of 1 service at its primary");
  const ServiceStatus nowhere = on_interface({}, {"there is no interface eth0"});
  EXPECT_EQ(totals_of(with({web(), nowhere})), "1 of 2 services at their primary, 1 listens nowhere");
  ServiceStatus named = web(), observed = web();
  named.servers[0].address = "db1.lan:5432";
  named.servers[0].name = NameStatus{.name = "db1.lan:5432"};
  observed.mode = "observe";
  EXPECT_EQ(totals_of(with({nowhere, nowhere, named, observed})),
            "1 of 4 services at their primary, 2 listen nowhere, 1 whose primary has no address, 1 only observed");
}

TEST_F(Listening, OneFamilyWithoutAnAddressIsANote) {
  EXPECT_THAT(notices(on_interface({"203.0.113.10"}, {"eth0 has no IPv6 address"}), now),
              ElementsAre(Notice{false, "it does not listen on all of eth0:443/tcp: eth0 has no IPv6 address", {}}));
}

} // namespace
} // namespace hanat::cli
