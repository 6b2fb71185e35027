// What is said of the other gateway of a pair. Not here: the other events (event_text_test).
#include <chrono>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/daemon/report/event_values.hpp"

namespace hanat::events {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

const ServerName backup_there{.role = "backup", .address = {.address = Address::parse("10.0.0.12").value(), .port = 8443}};

TEST(PeerText, SaysThatItComesAndGoes) {
  EXPECT_EQ(text(PeerSeen{.peer = "198.18.9.2:9718", .role = "standby"}), "the other gateway (198.18.9.2:9718) answers: it is the standby");
  EXPECT_EQ(text(PeerSeen{.peer = "198.18.9.2:9718", .role = "active", .missed = 12s}),
            "the other gateway (198.18.9.2:9718) answers again after 12s: it is the active one");
  EXPECT_EQ(text(PeerLost{.peer = "198.18.9.2:9718", .why = "Connection refused", .active = true}),
            "the other gateway (198.18.9.2:9718) does not answer: Connection refused; this one is active and acts alone");
  EXPECT_THAT(text(PeerLost{.peer = "x", .why = "y"}), HasSubstr("keeps to what it was last told"));
  EXPECT_EQ(kind(PeerLost{}), "pair");
  EXPECT_EQ(level(PeerLost{}), Level::warning);
  EXPECT_EQ(level(PeerSeen{}), Level::notice);
  EXPECT_EQ(kind(PeerRefused{"x"}), "");
  EXPECT_EQ(level(PeerNotServed{"x"}), Level::error);
}

TEST(PeerText, SaysWhatTheListOfTheActiveGatewayDoes) {
  using What = PeerListed::What;
  const PeerListed forced{.what = What::forced, .server = backup_there, .by = "ann", .reason = "new disk", .lasts = 30min};
  EXPECT_EQ(text(forced), "forced to backup (10.0.0.12:8443) on the active gateway by ann for 30m (new disk): noted here, too");
  EXPECT_EQ(kind(forced), "override");
  EXPECT_EQ(level(forced), Level::notice);
  EXPECT_EQ(history_entry_of(web(forced))->by, "ann");
  const PeerListed dropped{.what = What::unforced, .server = backup_there, .by = "bob", .dropped = true};
  EXPECT_THAT(text(dropped), HasSubstr("by bob, which was made on this gateway, is dropped"));
  EXPECT_EQ(level(dropped), Level::warning);
  EXPECT_EQ(kind(PeerListed{.what = What::enabled, .server = backup_there}), "maintenance");
  EXPECT_THAT(text(PeerListed{.what = What::enabled, .server = backup_there}), HasSubstr("was enabled again on the active gateway"));
  EXPECT_THAT(text(PeerListed{.what = What::disabled, .server = backup_there}), HasSubstr("is disabled on the active gateway"));
}

TEST(PeerText, SaysThatBothAreActiveAndThatOneIsAgain) {
  EXPECT_THAT(text(PairSplit{.peer = "198.18.9.2:9718"}), HasSubstr("each acts alone, because they do not hear each other's VRRP"));
  EXPECT_EQ(level(PairSplit{}), Level::error);
  EXPECT_EQ(text(PairJoined{.lasted = 90s, .standby = true}),
            "one gateway is active again, after 90s with two: the other one; this one takes over its list of overrides and disabled "
            "servers");
  EXPECT_THAT(text(PeerDiffers{.first = "service web: x", .number = 3}), HasSubstr("service web: x, and 2 more"));
  EXPECT_EQ(level(PeerDiffers{}), Level::warning);
  EXPECT_EQ(level(PeerAgrees{}), Level::notice);
}

TEST(PeerText, SaysWhatBecameOfConntrackd) {
  EXPECT_THAT(text(ConntrackdChanged{FlowSync::absent}), HasSubstr("conntrackd does not run"));
  EXPECT_THAT(text(ConntrackdChanged{FlowSync::behind}), HasSubstr("NetlinkBufferSize"));
  EXPECT_EQ(text(ConntrackdChanged{FlowSync::ok}), "conntrackd carries connections to the other gateway again");
  EXPECT_EQ(text(ConntrackdChanged{.state = FlowSync::ok, .peer = "198.18.9.2:9718", .standby = true}),
            "conntrackd takes the active gateway's connections again, on 198.18.9.2:9718");
  EXPECT_THAT(text(ConntrackdChanged{.state = FlowSync::absent, .standby = true}), HasSubstr("this gateway gets no copies"));
  EXPECT_EQ(level(ConntrackdChanged{FlowSync::behind}), Level::warning);
  EXPECT_EQ(level(ConntrackdChanged{FlowSync::ok}), Level::notice);
  EXPECT_EQ(kind(ConntrackdChanged{FlowSync::absent}), "pair");
}

TEST(PeerText, SaysThatKeepalivedIsGoneAndBack) {
  EXPECT_EQ(
      text(KeepalivedChanged{.state = Vrrp::absent, .standby = true}),
      "keepalived does not run (no program speaks VRRP here): this gateway cannot take over when the other one dies; systemctl status "
      "keepalived; systemctl restart keepalived");
  EXPECT_EQ(text(KeepalivedChanged{.peer = "198.18.9.2:9718"}), "keepalived speaks VRRP again on the other gateway (198.18.9.2:9718)");
  EXPECT_EQ(level(KeepalivedChanged{.state = Vrrp::absent}), Level::warning);
  EXPECT_EQ(level(KeepalivedChanged{}), Level::notice);
  EXPECT_EQ(kind(KeepalivedChanged{}), "pair");
}

TEST(PeerText, SaysThatNoGatewayIsActive) {
  EXPECT_THAT(text(PairIdle{.peer = "198.18.9.2:9718"}), HasSubstr("no gateway is active, neither this one nor 198.18.9.2:9718"));
  EXPECT_EQ(text(PairIdle{.peer = "x", .lasted = 90s}), "a gateway is active again, after 90s without");
  EXPECT_EQ(level(PairIdle{}), Level::error);
  EXPECT_EQ(level(PairIdle{.lasted = 90s}), Level::notice);
  EXPECT_EQ(kind(PairIdle{}), "pair");
}

TEST(PeerText, SaysWhoHadWhatDoneThere) {
  EXPECT_EQ(text(CommandForwarded{.command = "auto web", .by = "ann", .peer = "198.18.9.2:9718"}),
            "\"hanatctl auto web\" by ann was carried out by the active gateway (198.18.9.2:9718); this one is the standby");
  EXPECT_EQ(text(CommandForwarded{.command = "auto web", .by = "ann", .peer = "x", .failure = "no"}),
            "\"hanatctl auto web\" by ann was not carried out: no");
  EXPECT_EQ(history_entry_of(web(CommandForwarded{.by = "ann"}))->by, "ann");
}

} // namespace
} // namespace hanat::events
