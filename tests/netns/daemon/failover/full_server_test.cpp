// A server that says that it is full is not a dead one, seen from its clients: those it has stay, new ones go to another server that is up,
// and where there is none they go on to it. Not here: which answers mean full (unit tests of probes/kinds), every combination of healths
// (decision_test), real databases (full_database_test).
#include <chrono>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/incident.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

using std::chrono::seconds;

class FullServer : public testing::TestWithParam<Family> {
protected:
  static constexpr int busy = 503;

  /// TCP and UDP; a status of 503 means full.
  static std::string config(const std::string& extra = {}) {
    return fast_service({.listen = fmt::format("{}/tcp\", \"{}/udp", to_text(vip()), to_text(vip())),
                         .family = GetParam(),
                         .probe = "type = \"http\", full = 503",
                         .extra = extra});
  }
  static Endpoint vip() { return Lab::vip(443, GetParam()); }
  void both_up(const Hanatd& hanatd) {
    hanatd.wait_target("web", "primary");
    hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "backup").health == "up"; });
  }
  /// Somebody who is there from before.
  struct Clients {
    TcpClient tcp;
    UdpClient udp;
    explicit Clients(Lab& lab) : tcp(lab, Host::client, vip()), udp(lab, Host::client, vip()) {}
    void expect(const std::string& name, const char* when) {
      EXPECT_EQ(tcp.ask().text, name) << when;
      EXPECT_EQ(udp.ask().text, name) << when;
    }
  };
  void expect_new(const std::string& name, const char* when) {
    EXPECT_EQ(connect_once(lab, Host::client, vip()).text, name) << when;
    EXPECT_EQ(UdpClient(lab, Host::client, vip()).ask().text, name) << when;
  }
  static Status wait_cut(const Hanatd& hanatd) {
    return hanatd.wait_for([](const Status& now) { return service(now, "web").last_flip && service(now, "web").last_flip->cut_ms; },
                           seconds{10});
  }

  Lab lab;
  MixedServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
  UdpServer udp_primary{lab, Host::primary, 8443, "primary"}, udp_backup{lab, Host::backup, 8443, "backup"};
};
INSTANTIATE_TEST_SUITE_P(, FullServer, testing::Values(Family::ipv4, Family::ipv6),
                         [](const auto& of) { return of.param == Family::ipv4 ? "IPv4" : "IPv6"; });

TEST_P(FullServer, KeepsItsClientsWhileNewOnesGoToTheBackup) {
  Hanatd hanatd{lab, config()};
  both_up(hanatd);
  Clients clients{lab};
  clients.expect("primary", "before");
  primary.status(busy);
  const Status full = hanatd.wait_target("web", "backup");
  EXPECT_EQ(service(full, "web").why, "full");
  EXPECT_EQ(service(full, "web").last_flip->why, "full");
  EXPECT_EQ(server(service(full, "web"), "primary").health, "full");
  EXPECT_EQ(server(service(full, "web"), "primary").last->outcome, "full");
  EXPECT_EQ(server(service(full, "web"), "primary").last->reason, "full");
  EXPECT_EQ(server(service(full, "web"), "primary").last->detail, "503");
  expect_new("backup", "while it is full");
  clients.expect("primary", "at once");
  EXPECT_EQ(clients.tcp.wait_for_end(milliseconds{2500}).result, Result::timeout) << "nobody tells them to go, and no sweep takes them";
  clients.expect("primary", "2.5 s later");
  const Status later = hanatd.status();
  EXPECT_EQ(service(later, "web").last_flip->cut, CutStatus{});
  ASSERT_EQ(service(later, "web").draining.size(), 1U);
  EXPECT_EQ(service(later, "web").draining[0].server, "primary");
  EXPECT_FALSE(service(later, "web").draining[0].ends_in_s);
  EXPECT_NE(hanatd.log().find("primary (" + to_text(Lab::endpoint(Host::primary, 8443, GetParam())) + ") is full: "), std::string::npos);
  EXPECT_NE(hanatd.ctl({"metrics"}).out.find("hanat_full{service=\"web\",server=\"primary\"} 1"), std::string::npos);
}

TEST_P(FullServer, KeepsItsTrafficWhereNoOtherIsUp) {
  Hanatd hanatd{lab, config()};
  both_up(hanatd);
  backup.kill();
  hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "backup").health == "down"; });
  Clients clients{lab};
  clients.expect("primary", "before");
  primary.status(busy);
  const Status alone = hanatd.wait_for([](const Status& now) { return service(now, "web").why == "full-kept"; });
  EXPECT_EQ(server(service(alone, "web"), "primary").health, "full");
  EXPECT_EQ(service(alone, "web").target, "primary");
  expect_new("primary", "alone and full");
  clients.expect("primary", "alone and full");
  backup.start();
  hanatd.wait_target("web", "backup");
  expect_new("backup", "another is up");
  clients.expect("primary", "another is up");
  backup.status(busy);
  const Status both = hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "backup").health == "full"; });
  EXPECT_EQ(service(both, "web").target, "backup") << "with both full it stays where it is";
  expect_new("backup", "both full");
  backup.kill();
  EXPECT_EQ(service(hanatd.wait_target("web", "primary"), "web").why, "full-kept") << "better than none";
  expect_new("primary", "the backup down");
}

TEST_P(FullServer, TakesItsTrafficBackByTheOrdinaryRules) {
  for (const bool keep : {false, true}) {
    Hanatd hanatd{lab, config(fmt::format("on_failback = \"{}\"\n", keep ? "keep" : "reset"))};
    both_up(hanatd);
    Clients old{lab};
    old.expect("primary", "before");
    primary.status(busy);
    hanatd.wait_target("web", "backup");
    Clients meanwhile{lab};
    meanwhile.expect("backup", "while it is full");
    primary.status(200);
    const Status back = hanatd.wait_target("web", "primary");
    EXPECT_EQ(service(back, "web").last_flip->why, "failback");
    old.expect("primary", "over all of it");
    expect_new("primary", "back again");
    if (keep)
      meanwhile.expect("backup", "on_failback says keep");
    else
      EXPECT_EQ(meanwhile.tcp.ask().result, Result::reset) << "on_failback says reset";
    wait_cut(hanatd);
    old.expect("primary", "after the cut");
  }
}

TEST_P(FullServer, ThatFailsAfterAllLosesWhatItKept) {
  for (const bool restart : {false, true}) {
    Hanatd hanatd{lab, config()};
    both_up(hanatd);
    Clients clients{lab};
    clients.expect("primary", "before");
    primary.status(busy);
    hanatd.wait_target("web", "backup");
    if (restart) {
      hanatd.restart();
      hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "primary").health == "full"; });
      clients.expect("primary", "after a restart");
    }
    lab.silent(Host::primary, true);
    hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "primary").health == "down"; });
    EXPECT_EQ(clients.tcp.wait_for_end(seconds{3}).result, Result::reset) << "nudged, without a word of its own";
    EXPECT_EQ(clients.udp.ask().text, "backup");
    lab.silent(Host::primary, false);
    primary.status(200);
  }
}

TEST_P(FullServer, MovesNothingInModeObserveAndUnderAnOverride) {
  Hanatd hanatd{lab, config()};
  both_up(hanatd);
  ASSERT_EQ(hanatd.ctl({"force-primary", "web"}).exit, 0);
  primary.status(busy);
  hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "primary").health == "full"; });
  EXPECT_EQ(service(hanatd.status(), "web").target, "primary");
  EXPECT_NE(hanatd.ctl({"status", "web"}).out.find("primary has the traffic and is full"), std::string::npos);
  ASSERT_EQ(hanatd.reload(config("mode = \"observe\"\n")).exit, 0);
  ASSERT_EQ(hanatd.ctl({"auto", "web"}).exit, 0);
  const Status observed = hanatd.wait_for([](const Status& now) { return service(now, "web").would_target == "backup"; });
  EXPECT_EQ(service(observed, "web").would_why, "full");
  EXPECT_EQ(service(observed, "web").target, "primary");
  expect_new("primary", "in mode observe");
}

TEST_P(FullServer, OfSeveralProbesAFailWins) {
  TcpServer first{lab, Host::primary, 7000, "first"}, second{lab, Host::backup, 7000, "second"};
  const std::string pace = R"(interval = "50ms", fast_interval = "10ms", timeout = "200ms" })";
  std::string both = config();
  const auto begin = both.find("probe = "), end = both.find('\n', begin);
  both.replace(begin, end - begin, "probe = [{ type = \"http\", full = 503, " + pace + ", { type = \"tcp\", port = 7000, " + pace + "]");
  Hanatd hanatd{lab, both};
  both_up(hanatd);
  Clients clients{lab};
  clients.expect("primary", "before");
  primary.status(busy);
  const Status full = hanatd.wait_target("web", "backup");
  EXPECT_EQ(server(service(full, "web"), "primary").health, "full") << "the other probe passes";
  clients.expect("primary", "full");
  first.kill();
  const Status down = hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "primary").health == "down"; });
  EXPECT_EQ(server(service(down, "web"), "primary").last->reason, "refused");
  EXPECT_EQ(clients.tcp.wait_for_end(seconds{3}).result, Result::reset);
}

TEST_P(FullServer, IsFullForItsWholeGroup) {
  TcpServer rtp_primary{lab, Host::primary, 7000, "primary"}, rtp_backup{lab, Host::backup, 7000, "backup"};
  Hanatd hanatd{
      lab, config() +
               fast_service({.name = "rtp", .listen = to_text(Lab::vip(444, GetParam())) + "/tcp", .port = 7000, .family = GetParam()}) +
               "[group.voice]\nservices = [\"web\", \"rtp\"]\n"};
  both_up(hanatd);
  Clients clients{lab};
  clients.expect("primary", "before");
  TcpClient other{lab, Host::client, Lab::vip(444, GetParam())};
  ASSERT_EQ(other.ask().text, "primary");
  primary.status(busy);
  const Status full = hanatd.wait_target("rtp", "backup");
  EXPECT_EQ(service(full, "rtp").why, "full");
  EXPECT_EQ(server(service(full, "rtp"), "primary").health, "up");
  EXPECT_EQ(server(service(full, "rtp"), "primary").group_health, "full");
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(444, GetParam())).text, "backup");
  EXPECT_EQ(other.ask().text, "primary") << "its flows stay, too";
  clients.expect("primary", "full");
}

} // namespace
} // namespace hanat::test
