// Every path from this gateway to a server is lost. While clients still come they are refused at once; where the gateway itself is cut off
// nothing moves. Not here: one path (kernel_events), which links tell what (unit tests of passive/client_side).
#include <chrono>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

using std::chrono::seconds;

class CutOff : public testing::TestWithParam<Family> {
protected:
  static Endpoint vip() { return Lab::vip(443, GetParam()); }
  void both_up() {
    hanatd.wait_target("web", "primary");
    hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "backup").health == "up"; });
  }
  /// From now on until a client is refused.
  milliseconds until_refused() {
    const auto began = TestClock::now();
    Attempt attempt;
    while (attempt.result != Result::refused && TestClock::now() < began + seconds{5})
      attempt = connect_once(lab, Host::client, vip(), milliseconds{5});
    EXPECT_EQ(attempt.result, Result::refused) << attempt;
    return std::chrono::duration_cast<milliseconds>(TestClock::now() - began);
  }
  /// For as long as three verdicts take.
  void expect_nothing_moves() {
    for (const auto end = TestClock::now() + milliseconds{300}; TestClock::now() < end;) {
      const Status status = hanatd.status();
      ASSERT_EQ(service(status, "web").target, "primary");
      ASSERT_EQ(service(status, "web").flips, 0U);
    }
  }

  Lab lab{{.bystander = true}};
  TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
  Hanatd hanatd{lab, fast_service({.listen = to_text(vip()) + "/tcp", .family = GetParam()})};
};
INSTANTIATE_TEST_SUITE_P(, CutOff, testing::Values(Family::ipv4, Family::ipv6),
                         [](const auto& of) { return of.param == Family::ipv4 ? "IPv4" : "IPv6"; });

TEST_P(CutOff, FromAllServersByTheirLinksItRefusesClientsAtOnce) {
  both_up();
  TcpClient old{lab, Host::client, vip()};
  ASSERT_EQ(old.ask().text, "primary");
  lab.link(Host::backup, false);
  hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "backup").health == "down"; });
  lab.link(Host::primary, false);
  const auto refused = until_refused();
  fmt::print("refused {} ms after the last link to a server was set down\n", refused.count());
  EXPECT_LT(refused, milliseconds{150});
  EXPECT_EQ(old.wait_for_end(seconds{5}).result, Result::reset) << "after none_after";
  const Status none = hanatd.wait_target("web", "none");
  EXPECT_EQ(server(service(none, "web"), "primary").last->reason, "no-carrier");
  EXPECT_FALSE(none.daemon.inconclusive);
  lab.link(Host::backup, true);
  hanatd.wait_target("web", "backup");
  EXPECT_EQ(connect_once(lab, Host::client, vip()).text, "backup");
  lab.link(Host::primary, true);
  hanatd.wait_target("web", "primary");
  EXPECT_EQ(connect_once(lab, Host::client, vip()).text, "primary");
}

TEST_P(CutOff, FromAllServersByTheirRoutesItRefusesClientsAtOnce) {
  both_up();
  const auto routes = [&](const char* what) {
    for (const Host host : {Host::primary, Host::backup})
      lab.must(Host::gateway, fmt::format("ip route {} unreachable {}", what, Lab::address(host, GetParam()).text()));
  };
  routes("add");
  until_refused();
  EXPECT_EQ(server(service(hanatd.wait_target("web", "none"), "web"), "primary").last->reason, "net-unreachable");
  routes("del");
  hanatd.wait_target("web", "primary");
  EXPECT_EQ(connect_once(lab, Host::client, vip()).text, "primary");
}

TEST_P(CutOff, FromClientsTooItMovesNothing) {
  both_up();
  TcpClient old{lab, Host::client, vip()};
  ASSERT_EQ(old.ask().text, "primary");
  for (const Host host : {Host::client, Host::backup, Host::primary})
    lab.link(host, false); // the bystander's link stays, as one of management
  const Status cut_off = hanatd.wait_for([](const Status& now) { return now.daemon.inconclusive.has_value(); });
  EXPECT_NE(cut_off.daemon.inconclusive->find("no-carrier"), std::string::npos) << *cut_off.daemon.inconclusive;
  ASSERT_NO_FATAL_FAILURE(expect_nothing_moves());
  lab.link(Host::client, true); // the switch's ports come back one by one
  ASSERT_NO_FATAL_FAILURE(expect_nothing_moves());
  lab.link(Host::primary, true);
  lab.link(Host::backup, true);
  hanatd.wait_for([](const Status& now) { return !now.daemon.inconclusive.has_value(); });
  ASSERT_NO_FATAL_FAILURE(expect_nothing_moves());
  EXPECT_EQ(old.ask(seconds{5}).text, "primary") << "a connection outlives it";
}

TEST_P(CutOff, WhereClientsComeByALinkToServersItMovesNothing) {
  lab.must(Host::gateway, fmt::format("ip route add default via {}", Lab::address(Host::backup, GetParam()).text()));
  both_up();
  for (const Host host : {Host::backup, Host::primary}) lab.link(host, false);
  hanatd.wait_for([](const Status& now) { return now.daemon.inconclusive.has_value(); });
  ASSERT_NO_FATAL_FAILURE(expect_nothing_moves());
  for (const Host host : {Host::primary, Host::backup}) lab.link(host, true);
  hanatd.wait_for([](const Status& now) { return !now.daemon.inconclusive.has_value(); });
  ASSERT_NO_FATAL_FAILURE(expect_nothing_moves());
}

} // namespace
} // namespace hanat::test
