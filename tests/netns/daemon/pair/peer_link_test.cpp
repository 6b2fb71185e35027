// What the two gateways of a pair tell each other, over plain HTTP: the standby follows targets, overrides and disabled servers, and passes
// commands on. Not here: TLS (peer_tls_test), peers in trouble (peer_trouble_test), what a standby does to connections.
#include <algorithm>
#include <chrono>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/netns/daemon/pair/two_gateways.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class PeerLink : public TwoGateways {
protected:
  const ServiceStatus& web(const Status& status) const { return service(status, "web"); }
  /// From the flip on the active gateway to that on the standby.
  std::chrono::milliseconds lag() const {
    const auto of = [](const Hanatd& hanatd) { return moment_of(service(hanatd.status(), "web").since); };
    return std::chrono::duration_cast<std::chrono::milliseconds>(of(*second) - of(*first));
  }
};

TEST_F(PeerLink, EachKnowsTheOthersRoleAndThatTheyAgree) {
  begin();
  const Status one = first->status(), other = second->status();
  EXPECT_EQ(role(one), "active");
  EXPECT_EQ(peer_role(one), "standby");
  EXPECT_EQ(role(other), "standby");
  EXPECT_EQ(peer_role(other), "active");
  EXPECT_THAT(one.daemon.pair->peer->differs, IsEmpty());
  EXPECT_THAT(other.daemon.pair->peer->disagrees, IsEmpty());
  EXPECT_EQ(other.daemon.pair->peer->address, first_at());
  EXPECT_EQ(web(other).why, "followed");
  EXPECT_THAT(second->ctl({}).out, HasSubstr(first_at()));
}

TEST_F(PeerLink, TheStandbyFollowsAFlipWithinATenthOfASecond) {
  begin();
  for (const char* target : {"backup", "primary", "backup"}) {
    ASSERT_EQ(first->ctl({target == std::string{"backup"} ? "force-backup" : "force-primary", "web"}).exit, 0);
    first->wait_target("web", target);
    second->wait_target("web", target);
    EXPECT_LE(lag(), 100ms) << target;
  }
  second->wait_for([](const Status& now) { return now.daemon.pair->peer->lag_ms && *now.daemon.pair->peer->lag_ms < 100; });
}

TEST_F(PeerLink, TheStandbyFollowsAlsoToAServerThatIsDownByItsOwnProbes) {
  begin();
  lab.must(Host::bystander, "ip route add blackhole " + Lab::address(Host::primary).text());
  const Status other = second->wait_for([&](const Status& now) { return server(web(now), "primary").health == "down"; });
  EXPECT_EQ(web(other).target, "primary");
  EXPECT_EQ(web(other).why, "followed");
  const Status told = second->wait_for([](const Status& now) { return !now.daemon.pair->peer->disagrees.empty(); });
  EXPECT_FALSE(told.daemon.pair->peer->agrees);
  EXPECT_THAT(told.daemon.pair->peer->disagrees, Contains(HasSubstr("that server is down by the probes of this gateway")));
  EXPECT_EQ(web(first->status()).target, "primary");
}

TEST_F(PeerLink, OverridesAndDisabledServersLiveOnWhereTheStandbyTakesOver) {
  begin();
  ASSERT_EQ(first->ctl({"force-backup", "web", "--for", "30m", "--reason", "new disk"}).exit, 0);
  ASSERT_EQ(first->ctl({"disable", "web", "primary", "--reason", "its fan"}).exit, 0);
  const auto copied = [&](const Status& now) { return web(now).forced && server(web(now), "primary").disabled; };
  second->wait_for(copied);
  first->kill9();
  take(Host::gateway);
  give(Host::bystander);
  const Status now = second->wait_for([&](const Status& status) { return role(status) == "active"; });
  ASSERT_TRUE(copied(now));
  EXPECT_EQ(web(now).target, "backup");
  EXPECT_EQ(web(now).forced->reason, "new disk");
  EXPECT_EQ(web(now).forced->by, "root");
  ASSERT_TRUE(web(now).forced->until);
  const auto left = moment_of(*web(now).forced->until) - std::chrono::steady_clock::now();
  EXPECT_GT(left, 29min);
  EXPECT_LE(left, 30min + 1s);
  EXPECT_EQ(server(web(now), "primary").disabled->reason, "its fan");
  second->wait_for([&](const Status& status) { return web(status).why == "forced"; });
  second->restart(); // they are in its state file
  EXPECT_TRUE(copied(second->wait_target("web", "backup")));
}

TEST_F(PeerLink, WhatEndsOnTheActiveGatewayEndsOnTheStandby) {
  begin();
  ASSERT_EQ(first->ctl({"force-backup", "web"}).exit, 0);
  ASSERT_EQ(first->ctl({"disable", "web", "primary"}).exit, 0);
  second->wait_for([&](const Status& now) { return web(now).forced && server(web(now), "primary").disabled; });
  ASSERT_EQ(first->ctl({"enable", "web", "primary"}).exit, 0);
  ASSERT_EQ(first->ctl({"auto", "web"}).exit, 0);
  second->wait_for([&](const Status& now) { return !web(now).forced && !server(web(now), "primary").disabled; });
  second->wait_target("web", "primary");
  EXPECT_THAT(second->log(), AllOf(HasSubstr("was ended on the active gateway"), HasSubstr("was enabled again on the active gateway")));
}

TEST_F(PeerLink, ACommandOnTheStandbyIsCarriedOutByTheActiveGateway) {
  begin();
  const Output forced = second->ctl({"force-backup", "web", "--reason", "a test"});
  ASSERT_EQ(forced.exit, 0) << forced.err;
  EXPECT_THAT(forced.out, AllOf(HasSubstr("backup"), HasSubstr("carried out by the active gateway (" + first_at() + ")")));
  const Status one = first->status();
  ASSERT_TRUE(web(one).forced);
  EXPECT_EQ(web(one).forced->by, "root at " + Lab::address(Host::bystander).text());
  second->wait_for([&](const Status& now) { return web(now).forced && web(now).target == "backup"; });
  EXPECT_THAT(first->log(), HasSubstr("by root at " + Lab::address(Host::bystander).text()));
  EXPECT_THAT(second->log(), HasSubstr("\"hanatctl force-backup web\" by root was carried out by the active gateway"));

  EXPECT_EQ(second->ctl({"auto", "web"}).exit, 0);
  EXPECT_EQ(second->ctl({"disable", "web", "backup"}).exit, 0);
  first->wait_for([&](const Status& now) { return server(web(now), "backup").disabled && !web(now).forced; });
  EXPECT_EQ(second->ctl({"enable", "web", "backup"}).exit, 0);
  first->wait_for([&](const Status& now) { return !server(web(now), "backup").disabled; });

  EXPECT_THAT(second->ctl({"drill", "web"}).err, HasSubstr("run it on the active gateway"));
  const Output refused = second->ctl({"force-backup", "nosuch"});
  EXPECT_EQ(refused.exit, 1);
  EXPECT_THAT(refused.err, HasSubstr("nosuch"));
  EXPECT_THAT(second->log(), HasSubstr("was not carried out"));
}

TEST_F(PeerLink, WithoutAnActiveGatewayACommandIsRefusedWithWhatToDo) {
  begin();
  take(Host::gateway); // both are standby
  second->wait_for([](const Status& now) { return peer_role(now) == "standby"; });
  const Output nobody = second->ctl({"force-backup", "web"});
  EXPECT_EQ(nobody.exit, 1);
  EXPECT_THAT(nobody.err, HasSubstr("is not active either"));
  first->kill9();
  second->wait_for([](const Status& now) { return !seen(now); }, 10s);
  const Output dead = second->ctl({"force-backup", "web"});
  EXPECT_EQ(dead.exit, 1);
  EXPECT_THAT(dead.err, AllOf(HasSubstr("this gateway is the standby"), HasSubstr("does not answer"), HasSubstr("take over")));
  EXPECT_FALSE(web(second->status()).forced);
}

TEST_F(PeerLink, APartitionIsToldAndTheOneThatBecomesStandbyTakesOverTheOthersList) {
  begin();
  cut_link(true);
  give(Host::bystander);
  second->wait_for([](const Status& now) { return role(now) == "active" && !seen(now); }, 10s);
  first->wait_for([](const Status& now) { return !seen(now); }, 10s);
  ASSERT_EQ(first->ctl({"force-backup", "web", "--reason", "on the first"}).exit, 0);
  ASSERT_EQ(second->ctl({"disable", "web", "backup", "--reason", "on the second"}).exit, 0);
  cut_link(false);
  for (const Hanatd* one : {&*first, &*second})
    one->wait_for([](const Status& now) { return seen(now) && now.daemon.pair->peer->both_active; }, 15s);
  EXPECT_EQ(second->ctl({"status", "--check"}).exit, 1);
  EXPECT_THAT(second->ctl({"status"}).out,
              AllOf(HasSubstr("they do not hear each other's VRRP"), HasSubstr("tcpdump -ni any proto 112"), Not(HasSubstr("agrees"))));
  EXPECT_THAT(second->ctl({"doctor"}).out, HasSubstr("[pair-split]"));
  EXPECT_TRUE(server(web(second->status()), "backup").disabled); // each acts alone
  EXPECT_FALSE(web(second->status()).forced);

  take(Host::bystander);
  const Status now = second->wait_for(
      [&](const Status& status) { return role(status) == "standby" && web(status).forced && !server(web(status), "backup").disabled; });
  EXPECT_EQ(web(now).forced->reason, "on the first");
  EXPECT_THAT(first->log(), AllOf(HasSubstr("this one is active and acts alone"), HasSubstr("both gateways are active"),
                                  HasSubstr("one gateway is active again")));
  EXPECT_THAT(second->log(), AllOf(HasSubstr("both gateways are active"), HasSubstr("was disabled on this gateway by root (on the second)"),
                                   HasSubstr("the list of the active gateway holds")));
}

TEST_F(PeerLink, DifferentConfigurationsAreNamed) {
  give(Host::gateway);
  begin_first(fast_service() + fast_service({.name = "mail", .listen = "203.0.113.10:25/tcp"}));
  std::string services = fast_service({.name = "web", .listen = "203.0.113.10:443/tcp\", \"203.0.113.10:80/tcp"});
  const std::string backup_address = to_text(Lab::endpoint(Host::backup, 8443));
  services.replace(services.find(backup_address), backup_address.size(), to_text(Lab::endpoint(Host::client, 8443)));
  begin_second(services);
  const Status now = second->wait_for([](const Status& status) { return seen(status) && status.daemon.pair->peer->differs.size() >= 4; });
  EXPECT_THAT(now.daemon.pair->peer->differs,
              AllOf(Contains("service mail: the peer has it, and this gateway has not"),
                    Contains("service web: this gateway listens on 203.0.113.10:80/tcp, and the peer does not"),
                    Contains(fmt::format("service web: the peer has the server {}, and this gateway has not", backup_address))));
  EXPECT_THAT(second->ctl({}).out, HasSubstr("service mail: the peer has it"));
  EXPECT_THAT(second->log(), HasSubstr("the configurations of the two gateways differ"));
  second->reload(pair_of(Host::bystander) + fast_service() + fast_service({.name = "mail", .listen = "203.0.113.10:25/tcp"}));
  second->wait_for([](const Status& status) { return seen(status) && status.daemon.pair->peer->differs.empty(); });
}

TEST_F(PeerLink, HundredsOfServicesComeInPagesAndAreFollowed) {
  std::string services = fast_service();
  for (int number = 0; number < 600; ++number) // they share their probes
    services += fast_service({.name = fmt::format("s{}", number), .listen = fmt::format("203.0.113.11:{}/tcp", 1'000 + number)});
  const auto pace = [&services](const std::string& from, const std::string& to) {
    for (std::size_t at = 0; (at = services.find(from, at)) != std::string::npos; at += to.size()) services.replace(at, from.size(), to);
  };
  pace(" interval = \"50ms\"", " interval = \"1s\"");
  pace("fast_interval = \"10ms\"", "fast_interval = \"100ms\"");
  give(Host::gateway);
  begin_first(services);
  begin_second(services);
  first->wait_for(settled, 60s);
  second->wait_for(settled, 60s);
  const auto of_last = [](const Hanatd& hanatd) { return hanatd.ctl({"--json", "status", "s599"}).out; }; // all of them would keep it busy
  primary.kill();
  const auto deadline = TestClock::now() + 20s;
  while (of_last(*second).find("\"target\":\"backup\"") == std::string::npos && TestClock::now() < deadline)
    std::this_thread::sleep_for(milliseconds{50});
  const auto all_at_backup = [](const Status& now) {
    return std::ranges::all_of(now.services, [](const ServiceStatus& one) { return one.target == "backup"; });
  };
  const Status one = first->wait_for(all_at_backup, 20s), other = second->wait_for(all_at_backup, 20s);
  std::chrono::milliseconds slowest{0};
  for (const ServiceStatus& there : other.services) {
    const auto lag = moment_of(there.since) - moment_of(service(one, there.name).since);
    slowest = std::max(slowest, std::chrono::duration_cast<std::chrono::milliseconds>(lag));
  }
  EXPECT_LE(slowest, 5s); // on a machine that does other things; each page takes some hundredths of a second

  EXPECT_TRUE(std::ranges::all_of(other.services, [](const ServiceStatus& there) { return there.why == "followed"; }));
}

TEST_F(PeerLink, MetricsHaveThePeer) {
  give(Host::gateway);
  begin_first();
  begin_second();
  second->wait_for(settled);
  EXPECT_THAT(second->ctl({"metrics"}).out, AllOf(HasSubstr("hanat_peer_up 1\n"), HasSubstr("hanat_peer_agrees 1\n"),
                                                  HasSubstr("hanat_peer_differences 0\n"), HasSubstr("hanat_peer_seen_seconds ")));
}

TEST_F(PeerLink, AReloadChangesThePeerAndEndsTheLink) {
  begin();
  ASSERT_EQ(second->reload(fmt::format("[pair]\naddress = \"{}\"\nsettle = \"0s\"\n", shared) + fast_service()).exit, 0);
  second->wait_for([&](const Status& now) { return now.daemon.pair && !now.daemon.pair->peer && web(now).why == "primary-up"; });
  first->wait_for([](const Status& now) { return !seen(now); }, 10s);
  ASSERT_EQ(second->reload(pair_of(Host::bystander) + fast_service()).exit, 0);
  second->wait_for(settled);
  first->wait_for(settled, 10s);
}

} // namespace
} // namespace hanat::test
