// The sentences about a gateway of a pair.
#include <chrono>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/report/event_text.hpp"
#include "daemon/report/make_event.hpp"
#include "daemon/report/make_status.hpp"

namespace hanat::events {
namespace {

using namespace std::chrono_literals;
using testing::Pair;

const Address shared = *Address::parse("203.0.113.10");

Event role_event(Role from, Role to, std::optional<Settled> settled = {}, std::string by = {}) {
  return make({}, RoleChanged{.from = from, .to = to, .settled = settled, .after = 1'240ms, .address = shared, .by = std::move(by)});
}

TEST(PairEvents, SayWhatTheGatewayIsAndWhatFollows) {
  EXPECT_EQ(text_of(role_event(Role::alone, Role::standby)), "this gateway is standby: 203.0.113.10 is not on this machine; servers are "
                                                             "probed and targets loaded, and no connection is touched");
  EXPECT_EQ(text_of(role_event(Role::active, Role::standby)), "this gateway is standby: 203.0.113.10 has left this machine; servers are "
                                                              "probed and targets loaded, and no connection is touched");
  EXPECT_EQ(text_of(role_event(Role::standby, Role::settling)),
            "this gateway becomes active: 203.0.113.10 has come; until the other gateway's connections are all here, packets that fit no "
            "connection are dropped instead of reset");
  EXPECT_EQ(text_of(role_event(Role::settling, Role::active, Settled::told, "root")),
            "settled after 1.2 s (hanatctl settled, by root): this gateway is active, and packets that fit no connection are reset again");
  EXPECT_EQ(text_of(role_event(Role::settling, Role::active, Settled::time_limit)),
            "settled after 1.2 s, the time limit ([pair] settle): this gateway is active, and packets that fit no connection are reset "
            "again; hanatctl settled, in the script that keepalived runs, says so sooner");
  EXPECT_EQ(text_of(role_event(Role::alone, Role::active, Settled::at_once)),
            "this gateway is active: it has 203.0.113.10, and nothing is to settle");
  EXPECT_EQ(text_of(role_event(Role::standby, Role::alone)), "this gateway is no longer one of a pair: it acts alone");
}

TEST(PairEvents, AreInTheHistoryWithWhoDidIt) {
  const Event event = role_event(Role::settling, Role::active, Settled::told, "root");
  EXPECT_EQ(level_of(event), Level::notice);
  EXPECT_THAT(fields_of(event), testing::Contains(Pair("HANAT_ROLE", "active")));
  const auto entry = history_entry_of(event);
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->kind, "role");
  EXPECT_EQ(entry->by, "root");
}

TEST(PairEvents, WarnOfMasquerade) {
  Config config;
  ServiceConfig web;
  web.name = "web";
  web.servers = {{.role = "primary", .addresses = {}, .snat = {.kind = nat::SnatKind::masquerade, .address = {}}, .probes = {}},
                 {.role = "backup", .addresses = {}, .snat = {}, .probes = {}}};
  config.services = {web};
  EXPECT_TRUE(pair_warnings(config).empty()) << "alone it does no harm";
  config.pair = PairConfig{.address = shared};
  const auto warnings = pair_warnings(config);
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_EQ(warnings[0].service, "web");
  EXPECT_EQ(level_of(warnings[0]), Level::warning);
  EXPECT_EQ(text_of(warnings[0]),
            "primary has snat = \"masquerade\" in a pair: its connections have this gateway's own address and end when the other gateway "
            "takes over; name an address that moves with 203.0.113.10 instead, as in snat = \"203.0.113.10\"");
}

TEST(PairEvents, SayWhyTheTrackFileIsNotWritten) {
  const Event event = make({}, TrackFileNotWritten{.error = "open /run/fit.new: Permission denied"});
  EXPECT_EQ(level_of(event), Level::error);
  EXPECT_EQ(text_of(event), "the track file cannot be written: open /run/fit.new: Permission denied; keepalived goes by what it said last. "
                            "See that its directory exists and that hanatd may write there, then hanatctl reload");
}

TEST(PairEvents, TheStatusHasTheRole) {
  RoleMachine machine;
  machine.begin(true, false, 2s, Time{1h}, WallTime{0s});
  const PairConfig pair{.address = shared};
  EXPECT_EQ(report(machine, pair, {}),
            (PairStatus{.role = "settling", .since = "1970-01-01T00:00:00.000Z", .settled = false, .address = "203.0.113.10"}));
  machine.on_settled(Time{1h}, WallTime{1s});
  EXPECT_EQ(report(machine, pair, {.conntrackd = FlowSync::ok, .keepalived = Vrrp::absent}),
            (PairStatus{.role = "active",
                        .since = "1970-01-01T00:00:01.000Z",
                        .settled = true,
                        .address = "203.0.113.10",
                        .conntrackd = "ok",
                        .keepalived = "absent"}));
}

} // namespace
} // namespace hanat::events
