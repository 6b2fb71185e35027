// The standby does as the active gateway does, and nothing of its own.
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/failover/overrides.hpp"
#include "daemon/failover/peer_follow.hpp"
#include "daemon/peer/make_peer_service.hpp"
#include "daemon/peer/peer_match.hpp"
#include "tests/unit/daemon/failover/fixture.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class PeerFollow : public testing::Test {
protected:
  PeerFollow() {
    for (ServerState& server : web.servers) set_health(server, Health::up, flows.now);
    look();
  }
  /// The service is decided again; the reason.
  Reason look() {
    flows.registry.mark_dirty(web);
    auto changes = decide_dirty(flows.registry, flows.evictions, flows.outbox, flows.now);
    flows.registry.take_dirty();
    for (Change& change : changes) flows.applied(change);
    return web.reason;
  }
  PeerServer there(std::size_t server, const std::string& role) const { return {.role = role, .addresses = web.servers[server].addresses}; }
  PeerService active_at(std::size_t server) const {
    PeerService service = make_peer_service(web);
    service.target = there(server, "other-name");
    service.force.reset();
    service.disabled.clear();
    return service;
  }
  PeerOverride forced_there(std::size_t server) const {
    return {.server = there(server, "x"), .until = flows.now + 30min, .since = wall_now(), .reason = "why", .by = "ann"};
  }
  void follow(const PeerService& active) { follow_peer(web, active, flows.registry, flows.outbox, flows.now); }

  Flows flows;
  ServiceState& web = flows.add_at(small_service("web", 80), 0);
};

TEST_F(PeerFollow, TheTargetIsThatOfTheActiveGatewayByItsAddress) {
  follow(active_at(1));
  EXPECT_EQ(look(), Reason::followed);
  EXPECT_EQ(web.current, 1U);
  follow(active_at(0));
  look();
  EXPECT_EQ(web.current, 0U);
}

TEST_F(PeerFollow, ItIsFollowedWhateverTheOwnProbesSay) {
  set_health(web.servers[1], Health::down, flows.now);
  follow(active_at(1));
  EXPECT_EQ(look(), Reason::followed);
  EXPECT_EQ(web.current, 1U);
  const auto difference = compare_services(&web, std::make_unique<PeerService>(active_at(1)).get(), true);
  EXPECT_THAT(difference.config, IsEmpty());
  EXPECT_THAT(difference.state.value_or(""), HasSubstr("is down by the probes of this gateway"));
}

TEST_F(PeerFollow, WhereItTakesOverTheOrdinaryRulesDecideFromThere) {
  web.config.edit().failback.automatic = false;
  follow(active_at(1));
  look();
  stop_following(web, flows.registry);
  look();
  EXPECT_EQ(web.current, 1U) << "a manual failback";
  EXPECT_EQ(web.reason, Reason::failover);
  web.config.edit().failback.automatic = true;
  look();
  EXPECT_EQ(web.current, 0U);
}

TEST_F(PeerFollow, NoTargetThereOrAnUnknownOneIsNotFollowed) {
  PeerService active = active_at(1);
  active.target.reset();
  follow(active);
  EXPECT_EQ(look(), Reason::primary_up);
  active.target = PeerServer{.role = "primary", .addresses = {planning::endpoint("192.0.2.9", 80)}};
  follow(active);
  EXPECT_EQ(look(), Reason::primary_up);
  EXPECT_THAT(compare_services(&web, &active, true).state.value_or(""), HasSubstr("which is no server of it here"));
}

TEST_F(PeerFollow, OverridesAreCopiedAndBecomeItsOwn) {
  PeerService active = active_at(1);
  active.force = forced_there(1);
  follow(active);
  ASSERT_TRUE(web.force);
  EXPECT_TRUE(web.force->copied);
  EXPECT_EQ(web.force->server, 1U);
  EXPECT_EQ(web.force->by, "ann");
  EXPECT_EQ(web.force->until, active.force->until);
  EXPECT_TRUE(flows.outbox.overrides_changed);
  EXPECT_EQ(events_of(flows.outbox, "is copied"), 0U);
  EXPECT_EQ(events_of(flows.outbox, "forced to backup (198.18.2.2) on the active gateway by ann"), 1U);
  flows.outbox = {};
  follow(active);
  EXPECT_THAT(flows.outbox.events, IsEmpty()) << "the same again";
  stop_following(web, flows.registry);
  EXPECT_FALSE(web.force->copied);
  EXPECT_EQ(look(), Reason::forced);
}

TEST_F(PeerFollow, ACopyEndsWhenItEndsThere) {
  PeerService active = active_at(1);
  active.force = forced_there(1);
  follow(active);
  flows.outbox = {};
  follow(active_at(0));
  EXPECT_FALSE(web.force);
  EXPECT_EQ(events_of(flows.outbox, "was ended on the active gateway"), 1U);
  EXPECT_EQ(events_of(flows.outbox, "is dropped"), 0U);
}

TEST_F(PeerFollow, WhatWasMadeHereAndIsNotOnItsListIsDroppedAndTold) {
  begin_override(web, {.server = 1, .until = {}, .until_wall = {}, .since = wall_now(), .reason = "mine", .by = "bob"}, flows.registry,
                 flows.outbox);
  web.servers[0].maintenance = Maintenance{.since = wall_now(), .reason = "fan", .by = "bob"};
  flows.outbox = {};
  follow(active_at(0));
  EXPECT_FALSE(web.force);
  EXPECT_FALSE(web.servers[0].maintenance);
  EXPECT_EQ(events_of(flows.outbox, "by bob (mine), which was made on this gateway, is dropped"), 1U);
  EXPECT_EQ(events_of(flows.outbox, "was disabled on this gateway by bob (fan), and is enabled again"), 1U);
}

TEST_F(PeerFollow, TheSameOverrideOnBothIsKeptWithoutAWord) {
  PeerService active = active_at(1);
  active.force = forced_there(1);
  follow(active);
  stop_following(web, flows.registry); // and standby again
  flows.outbox = {};
  active.force->until = *active.force->until + 500ms; // it was measured at another moment
  follow(active);
  EXPECT_TRUE(web.force->copied);
  EXPECT_THAT(flows.outbox.events, IsEmpty());
}

TEST_F(PeerFollow, DisabledServersAreCopied) {
  PeerService active = active_at(1);
  active.disabled = {{.server = there(0, "x"), .until = flows.now + 10min, .since = wall_now(), .reason = "fan", .by = "ann"}};
  follow(active);
  ASSERT_TRUE(web.servers[0].maintenance);
  EXPECT_TRUE(web.servers[0].maintenance->copied);
  EXPECT_EQ(web.servers[0].maintenance->until, flows.now + 10min);
  flows.outbox = {};
  follow(active);
  EXPECT_THAT(flows.outbox.events, IsEmpty());
  follow(active_at(0));
  EXPECT_FALSE(web.servers[0].maintenance);
  EXPECT_EQ(events_of(flows.outbox, "was enabled again on the active gateway"), 1U);
}

TEST_F(PeerFollow, ACopyIsNotEndedByTheOwnProbes) {
  PeerService active = active_at(1);
  active.force = forced_there(1);
  active.force->until_down = true;
  follow(active);
  set_health(web.servers[1], Health::down, flows.now);
  look();
  EXPECT_TRUE(web.force);
  stop_following(web, flows.registry);
  look();
  EXPECT_FALSE(web.force);
}

TEST_F(PeerFollow, WhatIsOverIsNotCopied) {
  PeerService active = active_at(1);
  active.force = forced_there(1);
  active.force->until = flows.now;
  follow(active);
  EXPECT_FALSE(web.force);
}

TEST_F(PeerFollow, DifferencesOfTheConfigurationAreNamed) {
  PeerService active = active_at(0);
  active.servers[1].addresses = {planning::endpoint("198.18.9.9", 80)};
  active.listen.push_back("203.0.113.20:81/tcp");
  active.group = "g";
  EXPECT_THAT(compare_services(&web, &active, true).config,
              ElementsAre("service web: the peer listens on 203.0.113.20:81/tcp, and this gateway does not",
                          "service web: the peer has the server 198.18.9.9:80, and this gateway has not",
                          "service web: this gateway has the server 198.18.2.2, and the peer has not",
                          "service web: its group is g on the peer, and none here"));
  EXPECT_THAT(compare_services(nullptr, &active, true).config, ElementsAre("service web: the peer has it, and this gateway has not"));
  EXPECT_THAT(compare_services(&web, nullptr, true).config, ElementsAre("service web: this gateway has it, and the peer has not"));
  PeerService swapped = active_at(0);
  std::swap(swapped.servers[0], swapped.servers[1]);
  EXPECT_THAT(compare_services(&web, &swapped, true).config, ElementsAre("service web: the gateways have its servers in another order"));
}

} // namespace
} // namespace hanat::test
