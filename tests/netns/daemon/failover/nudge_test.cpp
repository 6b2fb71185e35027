// Clients that wait in silence while the target changes, seen from their sockets: idle ones learn it, those whose SYN nobody answered
// connect, and nobody else notices. Not here: refusals (hold).
#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "daemon/util/wall_time.hpp"
#include "tests/netns/lab/crowd.hpp"
#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/routers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

using std::this_thread::sleep_for;

TestClock::time_point flip_of(const Status& status) {
  const auto offset = std::chrono::system_clock::now().time_since_epoch() - TestClock::now().time_since_epoch();
  return TestClock::time_point{parse_wall_time(service(status, "web").last_flip->at).value().time_since_epoch() - offset};
}
double ms_between(TestClock::time_point from, TestClock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

/// A client repeats its SYN after this long by itself.
constexpr milliseconds own_timer{1000};

using NudgeParameters = std::tuple<Family, std::string, bool>; // family, snat, VIP local
class Nudge : public testing::TestWithParam<NudgeParameters> {};
std::string name_of_nudge(const testing::TestParamInfo<NudgeParameters>& info) {
  const auto& [family, snat, local] = info.param;
  return fmt::format("{}{}{}", family == Family::ipv4 ? "IPv4" : "IPv6", snat == "none" ? "SourceKept" : "Masquerade",
                     local ? "VipLocal" : "VipRouted");
}
INSTANTIATE_TEST_SUITE_P(, Nudge,
                         testing::Values(NudgeParameters{Family::ipv4, "none", false}, NudgeParameters{Family::ipv4, "masquerade", true},
                                         NudgeParameters{Family::ipv6, "masquerade", false}, NudgeParameters{Family::ipv6, "none", true}),
                         name_of_nudge);

TEST_P(Nudge, IdleClientsOfADeadServerKnowItRightAfterTheFlip) {
  const auto [family, snat, local] = GetParam();
  constexpr std::size_t number = 1000;
  Lab lab{{.vip_local = local, .return_routes = snat == "none"}};
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  const Endpoint vip = Lab::vip(443, family);
  Hanatd hanatd{lab, fast_service({.listen = to_text(vip) + "/tcp", .family = family, .extra = fmt::format("snat = \"{}\"", snat)})};
  hanatd.wait_target("web", "primary");
  std::vector<TcpClient> clients;
  for (std::size_t client = 0; client < number; ++client) clients.emplace_back(lab, Host::client, vip);
  lab.silent(Host::primary, true);
  const auto resets = resets_of(clients, milliseconds{4000});
  const Status status = hanatd.wait_target("web", "backup");
  ASSERT_EQ(resets.size(), number);
  const double last = ms_between(flip_of(status), resets.back());
  fmt::print("{} idle clients, from the flip to the last reset: {:.1f} ms\n", number, last);
  EXPECT_LT(last, 1000.0) << "100 ms where nothing else needs the processors";
  // The job that tells them reports when it has told the last, who is not the last to hear.
  const Status told = hanatd.wait_for([](const Status& now) { return service(now, "web").last_flip->nudged > 0; });
  EXPECT_GE(service(told, "web").last_flip->nudged, number);
}

struct Way {
  std::size_t routers;
  RouterKind kind;
};
using RouterParameters = std::tuple<Family, Way>;
class NudgeBehindRouters : public testing::TestWithParam<RouterParameters> {};
std::string name_of_way(const testing::TestParamInfo<RouterParameters>& info) {
  const auto& [family, way] = info.param;
  return fmt::format("{}{}{}", family == Family::ipv4 ? "IPv4" : "IPv6", way.kind == RouterKind::filtering ? "Filtering" : "Translating",
                     way.routers);
}
INSTANTIATE_TEST_SUITE_P(, NudgeBehindRouters,
                         testing::Combine(testing::Values(Family::ipv4, Family::ipv6),
                                          testing::Values(Way{1, RouterKind::translating}, Way{2, RouterKind::translating},
                                                          Way{1, RouterKind::filtering})),
                         name_of_way);

// A router's conntrack lets one ACK of four with a wrong sequence number pass.
TEST_P(NudgeBehindRouters, IdleClientsLearnOfAFlip) {
  const auto [family, way] = GetParam();
  constexpr std::size_t number = 1000;
  Lab lab;
  const Routers routers{lab, way.routers, way.kind};
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  const Endpoint vip = Lab::vip(443, family);
  Hanatd hanatd{lab, fast_service({.listen = to_text(vip) + "/tcp", .family = family})};
  hanatd.wait_target("web", "primary");
  std::vector<TcpClient> clients;
  for (std::size_t client = 0; client < number; ++client) clients.emplace_back(lab, Host::client, vip);
  lab.silent(Host::primary, true);
  const auto resets = resets_of(clients, milliseconds{4000});
  const Status status = hanatd.wait_target("web", "backup");
  ASSERT_FALSE(resets.empty());
  const double soon = 300.0;
  const auto in_time = std::ranges::count_if(resets, [&](auto reset) { return ms_between(flip_of(status), reset) <= soon; });
  fmt::print("{} of {} idle clients reset, {} of them within {} ms; the last {:.1f} ms after the flip\n", resets.size(), number, in_time,
             soon, ms_between(flip_of(status), resets.back()));
  EXPECT_GE(resets.size(), number * 95 / 100) << "nothing else tells them: later there is nothing to be reset";
  const Status told = hanatd.wait_for([](const Status& now) { return service(now, "web").last_flip->nudged > 0; });
  EXPECT_EQ(service(told, "web").last_flip->nudged, number) << "each client counts once";
  EXPECT_EQ(connect_once(lab, Host::client, vip).text, "backup");
}

TEST_P(Nudge, AClientWhoseSynNobodyAnsweredConnectsRightAfterTheFlip) {
  const auto [family, snat, local] = GetParam();
  Lab lab{{.vip_local = local, .return_routes = snat == "none"}};
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  const Endpoint vip = Lab::vip(443, family);
  Hanatd hanatd{lab, fast_service({.listen = to_text(vip) + "/tcp", .family = family, .extra = fmt::format("snat = \"{}\"", snat)})};
  hanatd.wait_target("web", "primary");
  hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "backup").health == "up"; });
  Attempt attempt;
  for (int round = 0; round < 4 && attempt.text.empty(); ++round) {
    hanatd.wait_target("web", "primary");
    hanatd.wait_for(
        [](const Status& now) { return service(now, "web").last_flip ? service(now, "web").last_flip->cut_ms.has_value() : true; });
    lab.silent(Host::primary, true);
    const auto asked = TestClock::now();
    attempt = connect_once(lab, Host::client, vip);
    const Status status = hanatd.wait_target("web", "backup");
    const double after = ms_between(flip_of(status), asked) + std::chrono::duration<double, std::milli>(attempt.latency).count();
    fmt::print("from the flip to the answer of a client that was connecting: {:.1f} ms\n", after);
    EXPECT_EQ(attempt.text, "backup") << attempt;
    if (attempt.latency >= own_timer) attempt = {}; // the machine is busy: its own second SYN may have done it
    lab.silent(Host::primary, false);
  }
  EXPECT_LT(attempt.latency, own_timer) << "never sooner than by its own second SYN";
  EXPECT_EQ(attempt.text, "backup");
}

/// A service, its servers, and one connection that stands.
class NudgeOnce : public testing::Test {
protected:
  void begin(const std::string& extra) {
    hanatd.emplace(lab, fast_service({.extra = extra}));
    hanatd->wait_target("web", "primary");
    hanatd->wait_for([](const Status& now) { return server(service(now, "web"), "backup").health == "up"; });
    client.emplace(lab, Host::client, Lab::vip(443));
    ASSERT_EQ(client->ask().text, "primary");
  }
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  std::optional<Hanatd> hanatd;
  std::optional<TcpClient> client;
};

TEST_F(NudgeOnce, OffLeavesIdleClientsInSilence) {
  begin("nudge = false");
  lab.silent(Host::primary, true);
  hanatd->wait_target("web", "backup");
  EXPECT_EQ(client->wait_for_end(milliseconds{300}).result, Result::timeout);
  EXPECT_EQ(service(hanatd->status(), "web").last_flip->nudged, 0U);
  EXPECT_EQ(client->ask().result, Result::reset) << "at its next packet, as ever";
}

TEST_F(NudgeOnce, NobodyIsNudgedWhoseFlowIsKept) {
  begin("on_forced = \"keep\"");
  ASSERT_EQ(hanatd->ctl({"force-backup", "web"}).exit, 0);
  hanatd->wait_target("web", "backup");
  EXPECT_EQ(client->wait_for_end(milliseconds{300}).result, Result::timeout);
  EXPECT_EQ(client->ask().text, "primary");
  EXPECT_EQ(service(hanatd->status(), "web").last_flip->nudged, 0U);
}

TEST_F(NudgeOnce, WhoSendsOnAfterAPlannedMoveIsToldToo) {
  begin("");
  ASSERT_EQ(hanatd->ctl({"force-backup", "web"}).exit, 0);
  EXPECT_EQ(client->wait_for_end(milliseconds{300}).result, Result::reset);
  hanatd->wait_for([](const Status& now) { return service(now, "web").last_flip->nudged == 1; }); // told when the job has ended
}

TEST_F(NudgeOnce, WithNoServerLeftIdleClientsKnowItToo) {
  begin("");
  backup.kill();
  hanatd->wait_for([](const Status& now) { return server(service(now, "web"), "backup").health == "down"; });
  lab.silent(Host::primary, true);
  hanatd->wait_target("web", "none");
  EXPECT_EQ(client->wait_for_end(milliseconds{300}).result, Result::reset);
}

TEST(NudgeHere, AClientOnTheGatewayItselfKnowsItToo) {
  Lab lab{{.vip_local = true}};
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  Hanatd hanatd{lab, fast_service()};
  hanatd.wait_target("web", "primary");
  TcpClient client{lab, Host::gateway, Lab::vip(443)};
  ASSERT_EQ(client.ask().text, "primary");
  lab.silent(Host::primary, true);
  hanatd.wait_target("web", "backup");
  EXPECT_EQ(client.wait_for_end(milliseconds{300}).result, Result::reset);
}

TEST_F(NudgeOnce, OtherServicesOfTheSameServerAreNotTouched) {
  begin("");
  TcpServer other{lab, Host::primary, 9000, "other"};
  ASSERT_EQ(hanatd->reload(fast_service() + fast_service({.name = "other", .listen = "203.0.113.11:900/tcp", .port = 9000})).exit, 0);
  hanatd->wait_target("other", "primary");
  TcpClient bystander{lab, Host::client, {Address::parse("203.0.113.11").value(), 900}};
  ASSERT_EQ(bystander.ask().text, "other");
  ASSERT_EQ(hanatd->ctl({"force-backup", "web"}).exit, 0);
  EXPECT_EQ(client->wait_for_end(milliseconds{300}).result, Result::reset);
  EXPECT_EQ(bystander.ask().text, "other");
}

TEST_F(NudgeOnce, WithoutTheRightToForgeEverythingElseWorks) {
  hanatd.emplace(lab, fast_service(), HanatdOptions{.before = {"setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"}});
  hanatd->wait_target("web", "primary");
  client.emplace(lab, Host::client, Lab::vip(443));
  EXPECT_NE(hanatd->log().find("nudging is off: open a raw socket: Operation not permitted; clients that wait learn of a flip by their own "
                               "timers; give hanatd CAP_NET_RAW"),
            std::string::npos)
      << hanatd->log();
  lab.silent(Host::primary, true);
  hanatd->wait_target("web", "backup");
  EXPECT_EQ(client->ask().result, Result::reset);
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443)).text, "backup");
}

} // namespace
} // namespace hanat::test
