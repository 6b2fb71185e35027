// What a machine that reaches no server any more can tell of its clients, from its links and default routes.
// Not here: reading them from the kernel (tests/netns/probes/passive).
#include "probes/passive/client_side.hpp"

#include <gtest/gtest.h>

namespace hanat::probes {
namespace {

using namespace std::chrono_literals;

constexpr auto boot = Clock::time_point{1'000h};
constexpr unsigned to_client = 1, to_primary = 2, to_backup = 3, other = 4;
const std::set<unsigned> servers{to_primary, to_backup};

Link link_at(unsigned index, bool usable = true) { return {.index = index, .name = "x", .up = usable, .carrier = usable}; }

Link deleted(unsigned index) {
  Link link = link_at(index, false);
  link.gone = true;
  return link;
}

class ClientSideTest : public testing::Test {
protected:
  ClientSideTest() {
    for (const unsigned index : {to_client, to_primary, to_backup}) side.take(link_at(index), boot);
  }
  void set(unsigned index, bool usable, Clock::duration at) { side.take(link_at(index, usable), boot + at); }
  bool works(Clock::duration lost, Clock::duration now) const { return side.works(servers, boot + lost, boot + now); }

  ClientSide side;
};

TEST_F(ClientSideTest, ALinkThatLeadsToNoServerMayLeadToClients) {
  set(to_primary, false, 10s);
  set(to_backup, false, 20s);
  EXPECT_TRUE(works(20s, 20s));
  EXPECT_TRUE(works(20s, 20h));
}

TEST_F(ClientSideTest, WithoutAnotherUsableLinkNobodyComes) {
  EXPECT_FALSE(side.works({to_client, to_primary, to_backup}, boot + 20s, boot + 20s)) << "clients and servers by the same links";
  set(to_client, false, 1s);
  EXPECT_FALSE(works(20s, 20s)) << "long lost already";
  side.take(deleted(to_client), boot + 2s);
  EXPECT_FALSE(works(20s, 20s));
}

TEST_F(ClientSideTest, LinksThatAreLostTogetherAreThisMachinesOwnFailure) {
  set(other, true, 0s);
  for (const auto lost : {17s, 20s, 25s}) { // before the last server, and after
    set(to_client, false, lost);
    EXPECT_FALSE(works(20s, 26s)) << lost.count();
    set(to_client, true, 26s);
  }
  set(to_client, false, 26s);
  EXPECT_TRUE(works(30s, 30s)) << "that was another failure, and clients may come by the other link";
}

TEST_F(ClientSideTest, ALinkThatIsBackIsTrustedWhenTheOthersHadTimeToComeBack) {
  set(to_client, false, 20s);
  set(to_client, true, 40s);
  EXPECT_FALSE(works(20s, 43s - 1ns));
  EXPECT_TRUE(works(20s, 43s));
}

TEST_F(ClientSideTest, ALinkThatWasAlwaysThereCountsAtOnceAndANewOneToo) {
  side.take(deleted(to_client), boot + 1s);
  EXPECT_FALSE(works(20s, 20s));
  set(other, true, 20s);
  EXPECT_TRUE(works(20s, 20s));
}

TEST_F(ClientSideTest, LoopbackPortsOfABridgeAndWhatAVlanIsMadeUponLeadNowhere) {
  ClientSide machine;
  for (const unsigned index : {to_primary, to_backup}) {
    Link vlan = link_at(index);
    vlan.lower = other;
    machine.take(vlan, boot);
  }
  machine.take(link_at(other), boot);
  Link loopback = link_at(7);
  loopback.inner = true;
  machine.take(loopback, boot);
  EXPECT_FALSE(machine.works(servers, boot, boot));
  machine.take(link_at(to_client), boot);
  machine.take(link_at(other, false), boot);
  EXPECT_TRUE(machine.works(servers, boot, boot)) << "the VLANs' own link fails with them, and that says nothing of clients";
}

TEST_F(ClientSideTest, WhereThereIsADefaultRouteClientsComeByIt) {
  set(other, true, 0s);
  side.set_default(Family::ipv4, to_client);
  EXPECT_TRUE(works(20s, 20s));
  side.set_default(Family::ipv4, to_backup);
  EXPECT_FALSE(works(20s, 20s)) << "clients come by a link to servers, and that is lost";
  side.set_default(Family::ipv6, to_client);
  EXPECT_TRUE(works(20s, 20s)) << "but those of the other family do not";
}

TEST_F(ClientSideTest, ADefaultRouteThatWentWithItsLinkIsRemembered) {
  set(other, true, 0s); // for example, to a network of management
  side.set_default(Family::ipv4, to_backup);
  set(to_backup, false, 20s);
  side.set_default(Family::ipv4, std::nullopt);
  EXPECT_FALSE(works(20s, 20s));
  set(to_backup, true, 30s);
  side.set_default(Family::ipv4, std::nullopt); // it was not its link's doing
  EXPECT_TRUE(works(20s, 40s));
}

} // namespace
} // namespace hanat::probes
