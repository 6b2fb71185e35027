// Refusals of a server that dies, seen from the client's socket: held once where another server can take over, told at once where none can,
// and never longer than hanatd lives. Not here: clients whose connection stands (nudge).
#include <chrono>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/load.hpp"
#include "tests/netns/lab/observer.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

using std::this_thread::sleep_for;

/// A client whose refusal was held asks again after this long by itself.
constexpr milliseconds own_retry{900};

/// A verdict that takes longer than a client's retry: what is refused is held, and no flip heals it.
constexpr const char* slow_verdict = "probe = { type = \"tcp\", interval = \"30s\", fast_interval = \"20ms\", timeout = \"200ms\" }\n"
                                     "down = { fails = 1000, within = \"300s\" }\nup = { passes = 1, stable_for = \"0s\" }\n";

std::string slow_service(const std::string& extra = {}, Family family = Family::ipv4) {
  return fmt::format("[service.web]\nlisten = \"{}/tcp\"\nprimary = \"{}\"\nbackup = \"{}\"\n{}{}\n", to_text(Lab::vip(443, family)),
                     to_text(Lab::endpoint(Host::primary, 8443, family)), to_text(Lab::endpoint(Host::backup, 8443, family)), slow_verdict,
                     extra);
}

/// The keys are loaded right behind the first target.
void wait_hold(Lab& lab, const std::string& set = "hold4") {
  for (int tries = 0; tries < 100; ++tries, sleep_for(milliseconds{10}))
    if (lab.must(Host::gateway, "nft list set inet hanat " + set).find("8443") != std::string::npos) return;
  ADD_FAILURE() << "nothing in " << set;
}

using HoldParameters = std::tuple<Family, std::string, Host>;
class Hold : public testing::TestWithParam<HoldParameters> {};
std::string name_of_hold(const testing::TestParamInfo<HoldParameters>& info) {
  const auto& [family, snat, from] = info.param;
  return fmt::format("{}{}{}", family == Family::ipv4 ? "IPv4" : "IPv6", snat == "none" ? "SourceKept" : "Masquerade",
                     from == Host::client ? "" : "OnTheGateway");
}
INSTANTIATE_TEST_SUITE_P(, Hold,
                         testing::Values(HoldParameters{Family::ipv4, "none", Host::gateway},
                                         HoldParameters{Family::ipv4, "masquerade", Host::client},
                                         HoldParameters{Family::ipv6, "none", Host::client},
                                         HoldParameters{Family::ipv6, "masquerade", Host::gateway}),
                         name_of_hold);

TEST_P(Hold, AClientThatADyingServerRefusesConnectsToTheBackup) {
  const auto [family, snat, from] = GetParam();
  Lab lab{{.vip_local = true, .return_routes = snat == "none"}};
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  const Endpoint vip = Lab::vip(443, family);
  Hanatd hanatd{lab, fast_service({.listen = to_text(vip) + "/tcp", .family = family, .extra = fmt::format("snat = \"{}\"", snat)})};
  wait_both_up(hanatd);
  wait_hold(lab, family == Family::ipv4 ? "hold4" : "hold6");
  primary.kill();
  const Attempt attempt = connect_once(lab, from, vip); // refused by the primary's machine, unless the verdict was faster
  EXPECT_EQ(attempt.text, "backup") << attempt;
  EXPECT_LT(attempt.latency, own_retry) << "the flip's nudge made it ask again at once";
  hanatd.wait_target("web", "backup");
}

TEST_P(Hold, NoFlowIsHeldTwice) {
  const auto [family, snat, from] = GetParam();
  Lab lab{{.vip_local = true, .return_routes = snat == "none"}};
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  Hanatd hanatd{lab, slow_service(fmt::format("snat = \"{}\"", snat), family)};
  wait_both_up(hanatd);
  wait_hold(lab, family == Family::ipv4 ? "hold4" : "hold6");
  primary.kill();
  const Attempt attempt = connect_once(lab, from, Lab::vip(443, family));
  EXPECT_EQ(attempt.result, Result::refused) << attempt;
  EXPECT_GT(attempt.latency, own_retry) << "held once";
  EXPECT_LT(attempt.latency, milliseconds{1800}) << "and not twice";
}

TEST(HoldOnce, WithoutAnotherServerTheRefusalArrivesAtOnce) {
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  Hanatd hanatd{lab, fast_service()};
  hanatd.wait_for(
      [](const Status& now) { return service(now, "web").target == "primary" && server(service(now, "web"), "backup").health == "down"; });
  // From now on a verdict takes ten seconds: what arrives is the server's own refusal, not hanat's for want of a server.
  ASSERT_EQ(hanatd.reload(fast_service({.down = "fails = 1000, within = \"300s\""})).exit, 0);
  ASSERT_EQ(server(service(hanatd.status(), "web"), "backup").health, "down");
  primary.kill();
  for (int client = 0; client < 10; ++client) {
    const Attempt attempt = connect_once(lab, Host::client, Lab::vip(443));
    EXPECT_EQ(attempt.result, Result::refused) << attempt;
    EXPECT_LT(attempt.latency, own_retry) << "held, it comes with the client's own second try";
  }
  EXPECT_EQ(service(hanatd.status(), "web").target, "primary");
}

/// A program that exits with unread data resets its connections (RST and ACK, as a refusal).
TEST(HoldOnce, TheResetOfAConnectionThatStoodIsNotHeld) {
  constexpr std::uint16_t probe_port = 9999;
  Lab lab;
  TcpServer primary_probe{lab, Host::primary, probe_port, "primary"}, backup_probe{lab, Host::backup, probe_port, "backup"};
  Hanatd hanatd{lab, fast_service({.probe = fmt::format("type = \"tcp\", port = {}", probe_port)})};
  wait_both_up(hanatd);
  wait_hold(lab);
  const Fd listener = socket_at(lab, Host::primary, SOCK_STREAM, 8443, Family::ipv4);
  checked(listen(listener.get(), 1), "listen");
  TcpClient client{lab, Host::client, Lab::vip(443)};
  Fd connection{checked(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept")};
  checked(static_cast<int>(send(client.fd(), "who\n", 4, MSG_NOSIGNAL)), "send");
  ASSERT_TRUE(readable_within(connection, milliseconds{3000}));
  const linger unread{.l_onoff = 1, .l_linger = 0};
  checked(setsockopt(connection.get(), SOL_SOCKET, SO_LINGER, &unread, sizeof unread), "SO_LINGER");
  connection.reset();
  EXPECT_EQ(client.wait_for_end(milliseconds{2000}).result, Result::reset);
  EXPECT_EQ(lab.must(Host::gateway, "nft list set inet hanat held4").find("203.0.113.10"), std::string::npos);
}

TEST(HoldOnce, WhileAnOperatorPinsTheTargetTheRefusalArrivesAtOnce) {
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  Hanatd hanatd{lab, slow_service()};
  wait_both_up(hanatd);
  ASSERT_EQ(hanatd.ctl({"force-primary", "web"}).exit, 0);
  primary.kill();
  const Attempt attempt = connect_once(lab, Host::client, Lab::vip(443));
  EXPECT_EQ(attempt.result, Result::refused);
  EXPECT_LT(attempt.latency, milliseconds{500});
}

TEST(HoldOnce, WithoutNudgesTheClientsOwnRetryConnects) {
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  Hanatd hanatd{lab, fast_service({.extra = "nudge = false"})};
  wait_both_up(hanatd);
  wait_hold(lab);
  primary.kill();
  const Attempt attempt = connect_once(lab, Host::client, Lab::vip(443));
  EXPECT_EQ(attempt.text, "backup") << attempt;
  EXPECT_GT(attempt.latency, own_retry);
  EXPECT_LT(attempt.latency, milliseconds{1500});
  EXPECT_EQ(service(hanatd.status(), "web").last_flip->nudged, 0U);
}

TEST(HoldOnce, AFalseAlarmLetsWhoWasHeldConnectAtOnce) {
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  // 20 ms a question: three refusals are a verdict after 100 ms and more, and the server is back before.
  Hanatd hanatd{lab, fast_service({.down = "fails = 20, within = \"9s\""})};
  wait_both_up(hanatd);
  wait_hold(lab);
  primary.kill();
  Attempt attempt;
  std::thread client{[&] { attempt = connect_once(lab, Host::client, Lab::vip(443)); }};
  hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "primary").fails.count > 2; });
  primary.start();
  client.join();
  EXPECT_EQ(attempt.text, "primary") << attempt;
  EXPECT_LT(attempt.latency, own_retry) << "not by its own timer";
  EXPECT_EQ(service(hanatd.status(), "web").flips, 0U);
}

TEST(HoldOnce, IsOffWhereTheConfigurationSaysSo) {
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  Hanatd hanatd{lab, slow_service("hold = false")};
  wait_both_up(hanatd);
  primary.kill();
  const Attempt attempt = connect_once(lab, Host::client, Lab::vip(443));
  EXPECT_EQ(attempt.result, Result::refused);
  EXPECT_LT(attempt.latency, milliseconds{500});
}

TEST(HoldOnce, ADeadHanatdHoldsNothingAfterItsSwitchHasExpired) {
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  Hanatd hanatd{lab, slow_service()};
  wait_both_up(hanatd);
  wait_hold(lab);
  hanatd.kill9();
  primary.kill();
  const Attempt before = connect_once(lab, Host::client, Lab::vip(443));
  EXPECT_EQ(before.result, Result::refused);
  EXPECT_GT(before.latency, own_retry) << "its last word was that it lives";
  sleep_for(milliseconds{2300});
  const Attempt after = connect_once(lab, Host::client, Lab::vip(443));
  EXPECT_EQ(after.result, Result::refused);
  EXPECT_LT(after.latency, milliseconds{500});
}

} // namespace
} // namespace hanat::test
