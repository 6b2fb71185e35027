// The start: what is loaded belongs to the services of the configuration, or to some that are gone; what a crash left unfinished goes on,
// and so do overrides and drains. Not here: reading the table (table_resync_test), a reload (reload_test).
#include "daemon/report/make_status.hpp"
#include "tests/unit/daemon/failover/reload_fixture.hpp"

namespace hanat::test {
namespace {

using StartTest = ReloadTest;

TEST_F(StartTest, WhatIsLoadedIsAdopted) {
  const nat::TableState loaded = settled(Destination::backup);
  start({web()}, loaded);
  ServiceState& web_service = service("web");
  EXPECT_EQ(web_service.loaded, loaded);
  EXPECT_EQ(web_service.current, 1U);
  EXPECT_EQ(web_service.reason, Reason::adopted);
  EXPECT_EQ(events(said::adopted), 1U);
  EXPECT_EQ(web_service.last_flip, std::nullopt);
  run_until_idle();
  EXPECT_EQ(web_service.loaded.dnat, loaded.dnat); // its server is not judged yet
  EXPECT_EQ(web_service.flips, 0U);
}

TEST_F(StartTest, WithoutATableNothingIsAdopted) {
  start({web()});
  EXPECT_EQ(service("web").current, std::nullopt);
  EXPECT_FALSE(service("web").refused);
  EXPECT_EQ(events(said::adopted), 0U);
  EXPECT_TRUE(service("web").evictions.empty());
  EXPECT_TRUE(service("web").dirty);
}

TEST_F(StartTest, ClientsWhoWereRefusedStayRefused) {
  start({web()}, settled(Destination::none));
  EXPECT_TRUE(service("web").refused);
  EXPECT_EQ(service("web").current, std::nullopt);
}

TEST_F(StartTest, ALoadedTargetThatIsNotConfiguredIsNoTarget) {
  ServiceConfig config = web();
  config.servers[0].addresses = {endpoint("198.18.8.8", 0)};
  start({config}, settled(Destination::primary));
  EXPECT_EQ(service("web").current, std::nullopt);
  EXPECT_FALSE(service("web").refused);
}

TEST_F(StartTest, EntriesThatWereMadeWithoutRulesAreCut) {
  start({web()}, settled(Destination::backup));
  EXPECT_EQ(mappings_of(service("web").evictions, true), (std::set<Mapping>{untranslated(tcp4), untranslated(udp4)}));
}

TEST_F(StartTest, ACutThatACrashEndedGoesOn) {
  nat::TableState loaded = settled(Destination::backup);
  loaded.stale = {{primary_tcp, "web primary"}, {backup_udp, "web backup"}}; // the second one is target again
  loaded.recent = {{tcp6, "web"}};
  start({web()}, loaded);
  ServiceState& one = service("web");
  EXPECT_EQ(mappings_of(one.evictions, false), std::set{primary_tcp});
  EXPECT_EQ(one.recent_until.at(tcp4), now + 60s);
  EXPECT_EQ(one.recent_until.at(tcp6), now + 60s);
  EXPECT_FALSE(one.recent_until.contains(udp4));
  EXPECT_TRUE(settle_flows().contains(primary_tcp));
  EXPECT_TRUE(one.loaded.stale.empty());
}

TEST_F(StartTest, WhatIsLoadedOfAServiceThatIsGoneIsGivenUp) {
  start({small_service("mail", 25)}, settled(Destination::primary));
  ASSERT_NE(tombstone("web"), nullptr);
  EXPECT_EQ(tombstone("web")->loaded, settled(Destination::primary));
  EXPECT_EQ(settle_flows(), (std::set<Mapping>{primary_tcp, primary_udp, primary_tcp6}));
  EXPECT_EQ(tombstone("web"), nullptr);
  EXPECT_FALSE(is_unexpected(primary_tcp));
}

TEST_F(StartTest, AnEndpointWithAnotherServiceNowIsItsOwn) {
  ServiceConfig renamed = web();
  renamed.name = "www";
  start({renamed}, settled(Destination::primary));
  EXPECT_EQ(service("www").current, 0U);
  EXPECT_EQ(tombstone("web"), nullptr);
}

TEST_F(StartTest, AnOverrideGoesOn) {
  const WallTime since = wall_now() - 100s;
  start({web()}, settled(Destination::primary),
        {.overrides = {{.service = "web", .target = "backup", .until = since + 700s, .reason = "kernel", .by = "root", .since = since}},
         .drains = {}});
  const auto& force = service("web").force;
  ASSERT_TRUE(force);
  EXPECT_EQ(force->server, 1U);
  EXPECT_EQ(force->by, "root");
  EXPECT_EQ(force->reason, "kernel");
  EXPECT_EQ(force->since, since);
  EXPECT_GT(force->until, now + 590s);
  EXPECT_LE(force->until, now + 600s);
  EXPECT_EQ(events(said::goes_on), 1U);
  EXPECT_EQ(events(said::forced), 0U) << "it is no new one";
  run_until_idle();
  EXPECT_EQ(service("web").current, 1U);
}

TEST_F(StartTest, AnOverrideNeverLastsLongerThanItWasAskedFor) {
  const WallTime since = wall_now() + 100'000s; // the clock went back
  start({web()}, {},
        {.overrides = {{.service = "web", .target = "backup", .until = since + 60s, .reason = {}, .by = "root", .since = since},
                       {.service = "web", .target = "backup7", .until = {}, .reason = {}, .by = "root", .since = since},
                       {.service = "gone", .target = "backup", .until = {}, .reason = {}, .by = "root", .since = since}},
         .drains = {}});
  EXPECT_EQ(service("web").force->until, now + 60s);
  EXPECT_EQ(service("web").force->server, 1U);
}

TEST_F(StartTest, ADrainGoesOn) {
  start({web()}, settled(Destination::backup),
        {.overrides = {}, .drains = {{.service = "web", .comment = "web primary", .until = {}, .flows = {primary_tcp}}}});
  ASSERT_EQ(evictions.saved_drains().size(), 1U);
  run_until_idle();
  EXPECT_EQ(evictions.saved_drains().size(), 1U);
  EXPECT_EQ(mappings_of(service("web").evictions, false), std::set{primary_tcp});
}

TEST_F(StartTest, AGroupTakesTheNewestOverride) {
  ServiceConfig one = small_service("one", 80), two = small_service("two", 81);
  one.group = two.group = "both";
  const WallTime since = wall_now() - 100s;
  start({one, two}, {},
        {.overrides = {{.service = "one", .target = "primary", .until = {}, .reason = {}, .by = "root", .since = since},
                       {.service = "two", .target = "backup", .until = {}, .reason = {}, .by = "root", .since = since + 1s}},
         .drains = {}});
  EXPECT_EQ(service("one").force->server, 1U);
  EXPECT_EQ(service("two").force->server, 1U);
}

TEST_F(StartTest, AnObservedServiceIsLeftAsItIs) {
  ServiceConfig config = web();
  config.mode = Mode::observe;
  start({config}, settled(Destination::backup));
  EXPECT_EQ(service("web").reason, Reason::observe);
  ASSERT_TRUE(service("web").shadow);
  EXPECT_EQ(service("web").shadow->placement.current, 1U);
  EXPECT_TRUE(service("web").evictions.empty());
}

TEST_F(StartTest, AnObservedServiceHasNoTargetByAListenerThatItHasLost) {
  ServiceConfig config = probed(web());
  config.mode = Mode::observe;
  start({config}, settled(Destination::backup));
  ASSERT_EQ(report(service("web"), now).target_address, to_text(service("web").loaded.dnat.at(tcp4).server));
  config.listen = {Vip{.address = config.listen.front().address, .protocol = Protocol::tcp, .port = 4711}};
  apply({config});
  ASSERT_FALSE(service("web").loaded.dnat.empty()) << "it is given up in the next turn";
  EXPECT_EQ(report(service("web"), now).target, "none");
  EXPECT_EQ(report(service("web"), now).target_address, std::nullopt);
}

} // namespace
} // namespace hanat::test
