// Services of every shape, seen from their clients: ports that differ, endpoints and servers that share an address, both families at once,
// several backups, several listeners, port ranges, sources that are translated, and a VIP that the gateway itself listens on.
// Not here: one plain service (failover).
#include <array>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "daemon/util/wall_time.hpp"
#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/load.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

using std::this_thread::sleep_for;

const std::string fast = "probe = { type = \"tcp\", interval = \"50ms\", fast_interval = \"10ms\", timeout = \"200ms\" }\n"
                         "down = { fails = 3, within = \"2s\" }\nup = { passes = 2, stable_for = \"100ms\" }\non_forced = \"reset\"\n";

std::string who_answers(Lab& lab, const Endpoint& to, Host from = Host::client) { return connect_once(lab, from, to).text; }

TEST(Topology, TwoServicesOnOneAddressAndOneServerAreMovedEachForItself) {
  Lab lab;
  TcpServer web{lab, Host::primary, 8001, "web primary"}, web_backup{lab, Host::backup, 8002, "web backup"};
  TcpServer mail{lab, Host::primary, 9001, "mail primary"}, mail_backup{lab, Host::backup, 9002, "mail backup"};
  Hanatd hanatd{
      lab, "[service.web]\nlisten = \"203.0.113.10:443/tcp\"\nprimary = \"198.18.11.2:8001\"\nbackup = \"198.18.12.2:8002\"\n" + fast +
               "[service.mail]\nlisten = \"203.0.113.10:25/tcp\"\nprimary = \"198.18.11.2:9001\"\nbackup = \"198.18.12.2:9002\"\n" + fast};
  hanatd.wait_target("web", "primary");
  hanatd.wait_target("mail", "primary");
  TcpClient on_web{lab, Host::client, Lab::vip(443)}, on_mail{lab, Host::client, Lab::vip(25)};
  EXPECT_EQ(on_web.ask().text, "web primary");
  EXPECT_EQ(on_mail.ask().text, "mail primary");
  ASSERT_EQ(hanatd.ctl({"force-backup", "web"}).exit, 0);
  hanatd.wait_target("web", "backup");
  EXPECT_EQ(on_web.ask().result, Result::reset);
  EXPECT_EQ(on_mail.ask().text, "mail primary") << "same VIP address, same server, another service";
  EXPECT_EQ(who_answers(lab, Lab::vip(443)), "web backup");
  EXPECT_EQ(who_answers(lab, Lab::vip(25)), "mail primary");
  sleep_for(milliseconds{2500}); // until the cut has swept
  EXPECT_EQ(on_mail.ask().text, "mail primary");
  mail.kill();
  hanatd.wait_target("mail", "backup");
  EXPECT_EQ(who_answers(lab, Lab::vip(25)), "mail backup");
  EXPECT_EQ(who_answers(lab, Lab::vip(443)), "web backup");
}

TEST(Topology, TwoServersOnOneAddressAreToldApartByTheirPorts) {
  Lab lab;
  TcpServer primary{lab, Host::primary, 8001, "primary"}, backup{lab, Host::primary, 8002, "backup"};
  Hanatd hanatd{lab,
                "[service.web]\nlisten = \"203.0.113.10:443/tcp\"\nprimary = \"198.18.11.2:8001\"\nbackup = \"198.18.11.2:8002\"\n" + fast};
  hanatd.wait_target("web", "primary");
  hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "backup").health == "up"; });
  TcpClient old_one{lab, Host::client, Lab::vip(443)}, old_idle{lab, Host::client, Lab::vip(443)};
  ASSERT_EQ(old_one.ask().text, "primary");
  ASSERT_EQ(old_idle.ask().text, "primary");
  ASSERT_EQ(hanatd.ctl({"force-backup", "web"}).exit, 0);
  hanatd.wait_target("web", "backup");
  TcpClient new_one{lab, Host::client, Lab::vip(443)};
  EXPECT_EQ(new_one.ask().text, "backup");
  EXPECT_EQ(old_one.ask().result, Result::reset) << "the stale key is that of port 8001";
  hanatd.wait_for([](const Status& now) { return service(now, "web").last_flip->cut_ms.has_value(); }, milliseconds{8000});
  EXPECT_EQ(old_idle.ask().result, Result::reset);
  EXPECT_EQ(new_one.ask().text, "backup") << "the cut took only the flows of port 8001";

  ASSERT_EQ(hanatd.ctl({"auto", "web"}).exit, 0); // back, and at once dead
  hanatd.wait_target("web", "primary");
  TcpClient on_primary{lab, Host::client, Lab::vip(443)};
  EXPECT_EQ(on_primary.ask().text, "primary");
  EXPECT_EQ(new_one.ask().result, Result::reset);
  primary.kill();
  hanatd.wait_target("web", "backup");
  EXPECT_EQ(who_answers(lab, Lab::vip(443)), "backup");
  EXPECT_NE(on_primary.ask().result, Result::answered);
}

TEST(Topology, AServiceOfBothFamiliesMovesWithBothInOneFlip) {
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
  Hanatd hanatd{lab, "[service.web]\nlisten = [\"203.0.113.10:443/tcp\", \"[2001:db8::10]:443/tcp\"]\n"
                     "primary = [\"198.18.11.2:8443\", \"[fd00:11::2]:8443\"]\nbackup = [\"198.18.12.2:8443\", \"[fd00:12::2]:8443\"]\n" +
                         fast};
  const auto expect_both = [&](const std::string& name) {
    for (const Family family : {Family::ipv4, Family::ipv6}) EXPECT_EQ(who_answers(lab, Lab::vip(443, family)), name);
  };
  hanatd.wait_target("web", "primary");
  EXPECT_EQ(server(service(hanatd.status(), "web"), "primary").addresses.size(), 2U);
  expect_both("primary");
  TcpClient v4{lab, Host::client, Lab::vip(443)}, v6{lab, Host::client, Lab::vip(443, Family::ipv6)};
  ASSERT_EQ(v4.ask().text, "primary");
  ASSERT_EQ(v6.ask().text, "primary");
  // Only one of its addresses is ill.
  lab.must(Host::primary,
           "nft 'add table ip6 ill; add chain ip6 ill in { type filter hook input priority 0; policy accept; }; add rule ip6 "
           "ill in tcp dport 8443 drop'");
  const Status status = hanatd.wait_target("web", "backup");
  EXPECT_EQ(service(status, "web").flips, 1U);
  expect_both("backup");
  EXPECT_EQ(v4.ask().result, Result::reset);
  EXPECT_EQ(v6.ask().result, Result::reset);
  lab.must(Host::primary, "nft delete table ip6 ill");
  hanatd.wait_target("web", "primary");
  EXPECT_EQ(service(hanatd.status(), "web").flips, 2U);
  expect_both("primary");
}

TEST(Topology, TheFirstFitServerInOrderServes) {
  Lab lab{{.backup2 = true}};
  TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"},
      third{lab, Host::backup2, 8443, "backup2"};
  Hanatd hanatd{lab, "[service.web]\nlisten = \"203.0.113.10:443/tcp\"\nprimary = \"198.18.11.2:8443\"\n"
                     "backup = [\"198.18.12.2:8443\", \"198.18.13.2:8443\"]\n" +
                         fast};
  const auto expect_target = [&](const std::string& role) {
    hanatd.wait_target("web", role);
    EXPECT_EQ(who_answers(lab, Lab::vip(443)), role);
  };
  expect_target("primary");
  primary.kill();
  expect_target("backup");
  backup.kill();
  expect_target("backup2");
  backup.start();
  expect_target("backup");
  backup.kill();
  expect_target("backup2");
  primary.start();
  expect_target("primary");
  const Output forced = hanatd.ctl({"force-backup", "web"}); // the first backup that is up
  EXPECT_EQ(forced.exit, 0) << forced.err;
  expect_target("backup2");
}

TEST(Topology, TcpAndUdpListenersAndARangeMoveTogetherAndKeepTheirPorts) {
  Lab lab;
  std::vector<std::unique_ptr<TcpServer>> tcp;
  std::vector<std::unique_ptr<UdpServer>> udp;
  for (const Host host : {Host::primary, Host::backup})
    for (std::uint16_t port = 5000; port <= 5004; ++port) {
      tcp.push_back(std::make_unique<TcpServer>(lab, host, port, fmt::format("{} {}", to_text(host), port)));
      udp.push_back(std::make_unique<UdpServer>(lab, host, port, fmt::format("{}/{}", to_text(host), port)));
    }
  Hanatd hanatd{lab,
                "[service.media]\nlisten = [\"203.0.113.10:5000-5003/udp\", \"203.0.113.10:5000-5002/tcp\", \"203.0.113.11:5004/tcp\"]\n"
                "primary = \"198.18.11.2\"\nbackup = \"198.18.12.2\"\n" +
                    fast};
  const Address second = Address::parse("203.0.113.11").value();
  const auto expect_all = [&](const std::string& name) {
    for (std::uint16_t port = 5000; port <= 5002; ++port) EXPECT_EQ(who_answers(lab, Lab::vip(port)), fmt::format("{} {}", name, port));
    for (std::uint16_t port = 5000; port <= 5003; ++port)
      EXPECT_EQ(UdpClient(lab, Host::client, Lab::vip(port)).ask().text, fmt::format("{}/{}", name, port));
    EXPECT_EQ(who_answers(lab, {second, 5004}), name + " 5004");
  };
  hanatd.wait_target("media", "primary");
  expect_all("primary");
  EXPECT_NE(connect_once(lab, Host::client, Lab::vip(5003), milliseconds{200}).result, Result::answered) << "5003 is a UDP port alone";
  TcpClient standing{lab, Host::client, Lab::vip(5001)};
  ASSERT_EQ(standing.ask().text, "primary 5001");
  lab.silent(Host::primary, true);
  hanatd.wait_target("media", "backup");
  EXPECT_EQ(service(hanatd.status(), "media").flips, 1U);
  expect_all("backup");
  EXPECT_EQ(standing.ask().result, Result::reset);
  lab.silent(Host::backup, true);
  hanatd.wait_target("media", "none");
  for (std::uint16_t port = 5000; port <= 5002; ++port) EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(port)).result, Result::refused);
  EXPECT_EQ(UdpClient(lab, Host::client, Lab::vip(5003)).ask().result, Result::refused);
  for (std::uint16_t port = 5000; port <= 5002; ++port) // the kernel limits how many ICMP errors a second one client gets
    EXPECT_NE(UdpClient(lab, Host::client, Lab::vip(port)).ask(milliseconds{100}).result, Result::answered) << port;
}

// ---- the gateway listens on the VIP itself

class OwnListener : public testing::TestWithParam<bool> {}; // UDP too is asked in every case; the parameter: what on_none does is "drop"
INSTANTIATE_TEST_SUITE_P(, OwnListener, testing::Bool(), [](const auto& test) { return test.param ? "OnNoneDrop" : "OnNoneRefuse"; });

TEST_P(OwnListener, OfTheGatewayIsNeverReachedByClientsOfTheService) {
  Lab lab{{.vip_local = true}};
  TcpServer gateway{lab, Host::gateway, 443, "gateway"};
  UdpServer gateway_udp{lab, Host::gateway, 443, "gateway"};
  TcpServer ssh{lab, Host::gateway, 22, "gateway's ssh"};
  TcpServer primary{lab, Host::primary, 443, "primary"}, backup{lab, Host::backup, 443, "backup"};
  UdpServer primary_udp{lab, Host::primary, 443, "primary"}, backup_udp{lab, Host::backup, 443, "backup"};
  const std::string config = "[service.web]\nlisten = [\"203.0.113.10:443/tcp\", \"203.0.113.10:443/udp\"]\nprimary = \"198.18.11.2\"\n"
                             "backup = \"198.18.12.2\"\n" +
                             fast + fmt::format("on_none = \"{}\"\n", GetParam() ? "drop" : "refuse");
  const Endpoint vip = Lab::vip(443);
  const Result when_none = GetParam() ? Result::timeout : Result::refused;
  Hanatd hanatd{lab, config};
  hanatd.wait_target("web", "primary");
  Load load{lab, Host::client, vip, {.per_second = 300, .duration = milliseconds{30000}, .deadline = milliseconds{1000}}};
  UdpStream stream{lab, Host::client, vip, milliseconds{5}, 40000};
  const auto expect_server = [&](const std::string& name, const char* when) {
    for (const Host from : {Host::client, Host::gateway}) {
      EXPECT_EQ(who_answers(lab, vip, from), name) << when << ", from the " << to_text(from);
      EXPECT_EQ(UdpClient(lab, from, vip).ask().text, name) << when << ", from the " << to_text(from);
    }
    EXPECT_EQ(who_answers(lab, Lab::vip(22)), "gateway's ssh") << when;
  };
  const auto expect_none = [&](const char* when) {
    for (const Host from : {Host::client, Host::gateway}) {
      const Attempt attempt = connect_once(lab, from, vip, milliseconds{300});
      EXPECT_TRUE(attempt.result == when_none || (from == Host::gateway && attempt.result != Result::answered)) << when << ": " << attempt;
      EXPECT_NE(UdpClient(lab, from, vip).ask(milliseconds{200}).result, Result::answered) << when;
    }
    EXPECT_EQ(who_answers(lab, Lab::vip(22)), "gateway's ssh") << when;
  };
  expect_server("primary", "up");
  hanatd.kill9();
  expect_server("primary", "the daemon killed");
  hanatd.start();
  primary.kill();
  hanatd.wait_target("web", "backup");
  expect_server("backup", "failed over");
  backup.kill();
  hanatd.wait_target("web", "none");
  expect_none("no server");
  hanatd.kill9();
  expect_none("no server, and the daemon killed");
  hanatd.start();
  expect_none("no server, and the daemon restarted");
  backup.start();
  hanatd.wait_target("web", "backup");
  expect_server("backup", "recovered");
  const LoadResult result = load.stop();
  EXPECT_FALSE(result.answered().contains("gateway")) << result;
  for (const auto& datagram : stream.finish()) ASSERT_NE(datagram.by, "gateway");
}

TEST(OwnListenerAtTheStart, IsNotReachedWhileNoServerIsDecidedYet) {
  Lab lab{{.vip_local = true}};
  TcpServer gateway{lab, Host::gateway, 443, "gateway"};
  TcpServer backup{lab, Host::backup, 443, "backup"};
  lab.silent(Host::primary, true); // it takes three deadlines to judge it
  Hanatd hanatd{lab, "[service.web]\nlisten = \"203.0.113.10:443/tcp\"\nprimary = \"198.18.11.2\"\nbackup = \"198.18.12.2\"\n"
                     "probe = { type = \"tcp\", interval = \"1s\", fast_interval = \"50ms\", timeout = \"1s\" }\n"};
  EXPECT_EQ(service(hanatd.status(), "web").why, "starting");
  const Attempt early = connect_once(lab, Host::client, Lab::vip(443), milliseconds{300});
  EXPECT_EQ(early.result, Result::timeout) << "dropped, neither refused nor the gateway's own: " << early;
  hanatd.wait_target("web", "backup");
  EXPECT_EQ(who_answers(lab, Lab::vip(443)), "backup");
}

// ---- datagrams over a time without servers

class Unpinned : public testing::TestWithParam<std::tuple<Family, bool>> {};
INSTANTIATE_TEST_SUITE_P(, Unpinned, testing::Combine(testing::Values(Family::ipv4, Family::ipv6), testing::Bool()), [](const auto& test) {
  return fmt::format("{}{}", std::get<0>(test.param) == Family::ipv4 ? "IPv4" : "IPv6", std::get<1>(test.param) ? "VipLocal" : "VipRouted");
});

TEST_P(Unpinned, ASteadyUdpSenderReachesTheServerThatRecoversFirst) {
  const auto [family, local] = GetParam();
  Lab lab{{.vip_local = local}};
  TcpServer primary_port{lab, Host::primary, 53, "primary"}, backup_port{lab, Host::backup, 53, "backup"};
  UdpServer primary{lab, Host::primary, 53, "primary"}, backup{lab, Host::backup, 53, "backup"};
  const Endpoint vip = Lab::vip(53, family);
  Hanatd hanatd{lab, fast_service({.listen = to_text(vip) + "/udp", .port = 53, .family = family, .probe = "type = \"tcp\", port = 53"})};
  hanatd.wait_target("web", "primary");
  UdpStream stream{lab, Host::client, vip, milliseconds{2}, 40000};
  sleep_for(milliseconds{100});
  lab.silent(Host::primary, true);
  lab.silent(Host::backup, true);
  hanatd.wait_target("web", "none");
  sleep_for(milliseconds{300}); // its datagrams go on, and are refused
  lab.silent(Host::backup, false);
  const Status status = hanatd.wait_target("web", "backup");
  sleep_for(milliseconds{250});
  const auto offset = std::chrono::system_clock::now().time_since_epoch() - TestClock::now().time_since_epoch();
  const auto flip = TestClock::time_point{parse_wall_time(service(status, "web").last_flip->at).value().time_since_epoch() - offset};
  std::optional<TestClock::time_point> first;
  for (const auto& datagram : stream.finish())
    if (!first && datagram.by == "backup") first = datagram.sent_at;
  ASSERT_TRUE(first) << "pinned to the time of refusal";
  EXPECT_LT(*first - flip, milliseconds{50});
}

} // namespace
} // namespace hanat::test
