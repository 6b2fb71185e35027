// Listeners of many ports, seen from their clients: every port of an address, ranges, ranges that are mapped to others; through failover,
// refusal, failback, restart and reload. And what shares the address: the gateway itself.
// Not here: what a configuration may say (unit/config_ranges_test), single ports (failover_test).
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"

namespace hanat::test {
namespace {

const std::string paced = "down = { fails = 3, within = \"2s\" }\nup = { passes = 2, stable_for = \"100ms\" }\n";

/// The probe asks port 700, which every server has.
std::string pending(std::uint16_t port) {
  return fmt::format("probe = {{ type = \"tcp\", port = {}, interval = \"50ms\", fast_interval = \"10ms\", timeout = \"200ms\" }}\n", port);
}
const std::string both_servers = "primary = [\"198.18.11.2\", \"fd00:11::2\"]\nbackup = [\"198.18.12.2\", \"fd00:12::2\"]\n";
const std::string ipv4_servers = "primary = \"198.18.11.2\"\nbackup = \"198.18.12.2\"\n";

/// TCP and UDP servers of both hosts, each answering with its host and port.
class Fleet {
public:
  Fleet(Lab& lab, const std::vector<std::uint16_t>& ports) {
    for (const Host host : {Host::primary, Host::backup})
      for (const std::uint16_t port : ports) {
        const std::string name = fmt::format("{}:{}", to_text(host), port);
        (host == Host::primary ? primary_ : backup_).push_back(std::make_unique<TcpServer>(lab, host, port, name));
        udp_.push_back(std::make_unique<UdpServer>(lab, host, port, name));
      }
  }
  void kill_primary() {
    for (const auto& server : primary_) server->kill();
  }

private:
  std::vector<std::unique_ptr<TcpServer>> primary_, backup_;
  std::vector<std::unique_ptr<UdpServer>> udp_;
};

const FlipStatus& last_flip(const Status& status, const std::string& name) { return service(status, name).last_flip.value(); }

class EveryPort : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(, EveryPort, testing::Bool(), [](const auto& test) { return test.param ? "VipLocal" : "VipRouted"; });

TEST_P(EveryPort, GoesToTheServerThroughFailoverRefusalAndFailback) {
  Lab lab{{.vip_local = GetParam()}};
  const std::vector<std::uint16_t> ports{700, 5001, 60'000};
  Fleet fleet{lab, ports};
  Hanatd hanatd{lab, "[service.all]\nlisten = [\"203.0.113.10:*/tcp\", \"203.0.113.10:600-61000/udp\", \"[2001:db8::10]:*/tcp\", "
                     "\"[2001:db8::10]:*/udp\"]\n" +
                         both_servers + pending(700) + paced};
  const auto expect_all = [&](const std::string& host, const char* when) {
    for (const Family family : {Family::ipv4, Family::ipv6})
      for (const std::uint16_t port : ports) {
        const std::string name = fmt::format("{}:{}", host, port);
        EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(port, family)).text, name) << when;
        if (GetParam()) {
          EXPECT_EQ(connect_once(lab, Host::gateway, Lab::vip(port, family)).text, name) << when << ", from the gateway";
        }
        EXPECT_EQ(UdpClient(lab, Host::client, Lab::vip(port, family)).ask().text, name) << when;
      }
  };
  hanatd.wait_target("all", "primary");
  EXPECT_EQ(service(hanatd.status(), "all").target_address, "198.18.11.2");
  expect_all("primary", "up");
  UdpClient talking{lab, Host::client, Lab::vip(60'000)}, talking6{lab, Host::client, Lab::vip(700, Family::ipv6)};
  ASSERT_EQ(talking.ask().text, "primary:60000");
  ASSERT_EQ(talking6.ask().text, "primary:700");
  std::vector<TcpClient> idle;
  for (const Family family : {Family::ipv4, Family::ipv6})
    for (const std::uint16_t port : ports) {
      idle.emplace_back(lab, Host::client, Lab::vip(port, family));
      ASSERT_EQ(idle.back().ask().result, Result::answered);
    }

  lab.silent(Host::primary, true);
  hanatd.wait_target("all", "backup");
  for (TcpClient& client : idle) EXPECT_EQ(client.wait_for_end(milliseconds{1000}).result, Result::reset) << "told by a nudge";
  EXPECT_EQ(talking.ask().text, "backup:60000") << "the same socket";
  EXPECT_EQ(talking6.ask().text, "backup:700");
  expect_all("backup", "failed over");
  if (GetParam()) return; // the rest is the same, and takes its time
  const Status cut = hanatd.wait_for([&](const Status& now) { return last_flip(now, "all").cut.tcp >= idle.size(); });
  EXPECT_GE(last_flip(cut, "all").nudged, idle.size());
  EXPECT_GE(last_flip(cut, "all").cut.udp, 2U);

  lab.silent(Host::backup, true);
  hanatd.wait_target("all", "none");
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    for (const std::uint16_t port : std::initializer_list<std::uint16_t>{1, 5001, 65'535})
      EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(port, family)).result, Result::refused) << port;
    EXPECT_EQ(UdpClient(lab, Host::client, Lab::vip(5001, family)).ask().result, Result::refused);
  }
  lab.silent(Host::primary, false);
  hanatd.wait_target("all", "primary");
  expect_all("primary", "failed back");
}

TEST(Ranges, LeaveTheirNeighboursAlone) {
  Lab lab{{.vip_local = true}};
  Fleet fleet{lab, {700, 2000, 4000}};
  TcpServer below{lab, Host::gateway, 1999, "gateway"}, above{lab, Host::gateway, 4001, "gateway"},
      inside{lab, Host::gateway, 3000, "gateway"};
  UdpServer datagrams{lab, Host::gateway, 3000, "gateway"};
  Hanatd hanatd{lab, "[service.some]\nlisten = \"203.0.113.10:2000-4000/tcp\"\n" + ipv4_servers + pending(700) + paced};
  hanatd.wait_target("some", "primary");
  const Address other = Address::parse("203.0.113.11").value();
  const auto expect_neighbours = [&](const char* when) {
    for (const std::uint16_t port : std::initializer_list<std::uint16_t>{1999, 4001})
      EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(port)).text, "gateway") << when << ' ' << port;
    EXPECT_EQ(connect_once(lab, Host::client, {other, 3000}).text, "gateway") << when << ": another address";
    const std::size_t before = datagrams.received();
    UdpClient(lab, Host::client, Lab::vip(3000)).ask(milliseconds{50});
    EXPECT_EQ(datagrams.received(), before + 1) << when << ": another protocol";
  };
  TcpClient standing{lab, Host::client, Lab::vip(1999)};
  ASSERT_EQ(standing.ask().text, "gateway");
  expect_neighbours("up");
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(2000)).text, "primary:2000");
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(4000)).text, "primary:4000");
  lab.silent(Host::primary, true);
  lab.silent(Host::backup, true);
  hanatd.wait_target("some", "none");
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(3000)).result, Result::refused);
  expect_neighbours("refused");
  EXPECT_EQ(standing.ask().text, "gateway");
}

TEST(Ranges, ARefusalIsHeldAndItsClientFindsTheNextServer) {
  Lab lab;
  Fleet fleet{lab, {700, 5001}};
  Hanatd hanatd{lab, "[service.all]\nlisten = [\"203.0.113.10:*/tcp\", \"[2001:db8::10]:5000-9000/tcp\"]\n" + both_servers +
                         "probe = { type = \"tcp\", port = 700, interval = \"5s\", fast_interval = \"10ms\", timeout = \"200ms\" }\n" +
                         paced};
  hanatd.wait_target("all", "primary");
  hanatd.wait_for([](const Status& now) { return server(service(now, "all"), "backup").health == "up"; });
  hanatd.wait_for([&](const Status&) {
    return lab.must(Host::gateway, "nft list set inet hanat hold6_range1").find("2001:db8::10 . tcp") != std::string::npos;
  });
  fleet.kill_primary();
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    const Attempt attempt = connect_once(lab, Host::client, Lab::vip(5001, family));
    EXPECT_EQ(attempt.text, "backup:5001") << attempt;
    EXPECT_LT(attempt.latency, milliseconds{900}) << "before the client's own timer: the kernel told of it, and a nudge of the flip";
  }
}

TEST(Ranges, AMappedRangeGoesPortByPort) {
  Lab lab;
  std::vector<std::unique_ptr<TcpServer>> tcp;
  std::vector<std::unique_ptr<UdpServer>> udp;
  for (std::uint16_t offset = 0; offset < 3; ++offset)
    for (const auto& [host, first] : {std::pair{Host::primary, 6000}, std::pair{Host::backup, 7000}}) {
      const auto port = static_cast<std::uint16_t>(first + offset);
      tcp.push_back(std::make_unique<TcpServer>(lab, host, port, fmt::format("{}:{}", to_text(host), port)));
      udp.push_back(std::make_unique<UdpServer>(lab, host, port, fmt::format("{}:{}", to_text(host), port)));
    }
  Hanatd hanatd{lab, "[service.sip]\nlisten = [\"203.0.113.10:5000-5002/tcp\", \"203.0.113.10:9000-9002/udp\"]\n"
                     "primary = \"198.18.11.2:6000-6002\"\nbackup = \"198.18.12.2:7000-7002\"\n"
                     "probe = { type = \"tcp\", interval = \"50ms\", fast_interval = \"10ms\", timeout = \"200ms\" }\n" +
                         paced};
  const auto expect_all = [&](const std::string& host, std::uint16_t first) {
    for (std::uint16_t offset = 0; offset < 3; ++offset) {
      const std::string name = fmt::format("{}:{}", host, first + offset);
      EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(static_cast<std::uint16_t>(5000 + offset))).text, name);
      EXPECT_EQ(UdpClient(lab, Host::client, Lab::vip(static_cast<std::uint16_t>(9000 + offset))).ask().text, name);
    }
  };
  hanatd.wait_target("sip", "primary");
  expect_all("primary", 6000);
  TcpClient standing{lab, Host::client, Lab::vip(5002)};
  ASSERT_EQ(standing.ask().text, "primary:6002");
  lab.silent(Host::primary, true);
  hanatd.wait_target("sip", "backup");
  expect_all("backup", 7000);
  EXPECT_EQ(standing.ask().result, Result::reset);
}

/// Every port of the address by which the gateway itself talks: to its servers, when it asks them, and to others.
TEST(Ranges, EveryPortOfTheGatewaysOwnAddressLeavesItItsOwnConnections) {
  Lab lab;
  Fleet fleet{lab, {700, 5001}};
  TcpServer outside{lab, Host::client, 9000, "outside"};
  UdpServer resolver{lab, Host::primary, 53, "resolver"};
  const Address own = Lab::gateway_address(Host::client);
  const Address uplink = Lab::gateway_address(Host::primary);
  TcpServer ssh{lab, Host::gateway, 22, "gateway's ssh"};
  TcpClient before{lab, Host::gateway, Lab::endpoint(Host::client, 9000)}, session{lab, Host::client, {own, 22}};
  ASSERT_EQ(session.ask().text, "gateway's ssh");
  Hanatd hanatd{lab, fmt::format("[service.all]\nlisten = [\"{0}:*/tcp\", \"{0}:*/udp\", \"{1}:*/tcp\", \"{1}:*/udp\"]\n", own.text(),
                                 uplink.text()) +
                         ipv4_servers + pending(700) + paced};
  const auto expect_own = [&](const char* when) {
    EXPECT_EQ(connect_once(lab, Host::gateway, Lab::endpoint(Host::client, 9000)).text, "outside") << when;
    EXPECT_EQ(before.ask().text, "outside") << when;
  };
  hanatd.wait_target("all", "primary");
  expect_own("up");
  EXPECT_EQ(session.ask().result, Result::reset) << "every port is every port";
  EXPECT_NE(connect_once(lab, Host::client, {own, 22}).text, "gateway's ssh");
  UdpClient pending_on{lab, Host::gateway, Lab::endpoint(Host::primary, 53)};
  EXPECT_EQ(pending_on.ask().text, "resolver");
  EXPECT_EQ(connect_once(lab, Host::client, {own, 5001}).text, "primary:5001");
  EXPECT_EQ(UdpClient(lab, Host::client, {uplink, 5001}).ask().text, "primary:5001");
  lab.silent(Host::backup, true);
  fleet.kill_primary();
  hanatd.wait_target("all", "none");
  expect_own("refused");
  EXPECT_EQ(pending_on.ask().text, "resolver") << "its answers come from the server's own machine";
  EXPECT_EQ(UdpClient(lab, Host::gateway, Lab::endpoint(Host::primary, 53)).ask().text, "resolver") << "a new flow";
  EXPECT_EQ(connect_once(lab, Host::client, {own, 5001}).result, Result::refused);
  // As hanatd's own questions are while the table of connections is full.
  lab.must(Host::gateway,
           "nft 'add table ip u; add chain ip u out { type filter hook output priority -300; }; add rule ip u out udp dport 53 "
           "notrack; add chain ip u in { type filter hook prerouting priority -300; }; add rule ip u in udp sport 53 notrack'");
  EXPECT_EQ(UdpClient(lab, Host::gateway, Lab::endpoint(Host::primary, 53)).ask().text, "resolver") << "untracked";
  lab.must(Host::gateway, "nft delete table ip u");
  lab.silent(Host::backup, false);
  hanatd.wait_target("all", "backup");
  expect_own("failed over");
}

TEST(Ranges, AreAdoptedAfterARestart) {
  Lab lab;
  Fleet fleet{lab, {700, 5001}};
  Hanatd hanatd{lab, "[service.all]\nlisten = [\"203.0.113.10:*/tcp\", \"203.0.113.10:1000-9000/udp\"]\nsnat = \"masquerade\"\n" +
                         ipv4_servers + pending(700) + paced};
  hanatd.wait_target("all", "primary");
  TcpClient standing{lab, Host::client, Lab::vip(5001)};
  UdpClient talking{lab, Host::client, Lab::vip(5001)};
  ASSERT_EQ(standing.ask().text, "primary:5001");
  ASSERT_EQ(talking.ask().text, "primary:5001");
  hanatd.kill9();
  hanatd.start();
  hanatd.wait_target("all", "primary");
  EXPECT_EQ(hanatd.log().find("replaced"), std::string::npos) << hanatd.log();
  EXPECT_EQ(service(hanatd.status(), "all").flips, 0U);
  EXPECT_EQ(standing.ask().text, "primary:5001");
  EXPECT_EQ(talking.ask().text, "primary:5001");

  lab.silent(Host::primary, true); // the cut is not finished when hanatd dies
  hanatd.wait_target("all", "backup");
  hanatd.kill9();
  lab.silent(Host::primary, false);
  hanatd.start();
  EXPECT_EQ(standing.ask().result, Result::reset);
  hanatd.wait_target("all", "primary");
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(5001)).text, "primary:5001");
}

/// Whose answer a client gets once the old services have given the port up: what is being cut at the primary is not to be cut there again.
std::string first_of_new_service(Lab& lab, std::uint16_t port) {
  std::string text = connect_once(lab, Host::client, Lab::vip(port)).text;
  for (int again = 0; again < 100 && text == fmt::format("backup:{}", port); ++again)
    text = connect_once(lab, Host::client, Lab::vip(port)).text;
  return text;
}

TEST(Ranges, OtherBordersCutNoFlowThatStaysOnItsServer) {
  Lab lab;
  Fleet fleet{lab, {700, 2500, 5001, 8500}};
  const auto config = [](const std::string& name, const std::string& listen) {
    return fmt::format("[service.{}]\nlisten = {}\non_forced = \"reset\"\n", name, listen) + ipv4_servers + pending(700) + paced;
  };
  Hanatd hanatd{lab, config("all", "\"203.0.113.10:2000-9000/tcp\"")};
  hanatd.wait_target("all", "primary");
  hanatd.wait_for([](const Status& now) { return server(service(now, "all"), "backup").health == "up"; });
  TcpClient low{lab, Host::client, Lab::vip(2500)}, middle{lab, Host::client, Lab::vip(5001)}, high{lab, Host::client, Lab::vip(8500)};
  for (TcpClient* client : {&low, &middle, &high}) ASSERT_EQ(client->ask().result, Result::answered);

  // Narrower; the rest is nobody's.
  ASSERT_EQ(hanatd.reload(config("all", "\"203.0.113.10:2000-8000/tcp\"")).exit, 0);
  const auto end = TestClock::now() + std::chrono::seconds{5}; // they are recorded first
  Attempt last = high.ask();
  while (last.result == Result::answered && TestClock::now() < end) last = high.ask();
  EXPECT_NE(last.result, Result::answered);
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(5001)).text, "primary:5001");
  EXPECT_EQ(middle.ask().text, "primary:5001");
  // Moves within the seconds in which the old border's flows are cut.
  ASSERT_EQ(hanatd.ctl({"force-backup", "all"}).exit, 0);
  hanatd.wait_target("all", "backup");
  EXPECT_EQ(middle.ask().result, Result::reset);
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(5001)).text, "backup:5001");
  ASSERT_EQ(hanatd.ctl({"auto", "all"}).exit, 0);
  hanatd.wait_target("all", "primary");

  // Two services share it now, one of another name; a third has what was given up.
  TcpClient low_again{lab, Host::client, Lab::vip(2500)}, middle_again{lab, Host::client, Lab::vip(5001)};
  ASSERT_EQ(low_again.ask().text, "primary:2500");
  ASSERT_EQ(middle_again.ask().text, "primary:5001");
  ASSERT_EQ(hanatd
                .reload(config("all", "\"203.0.113.10:2000-4000/tcp\"") + config("media", "\"203.0.113.10:4001-8100/tcp\"") +
                        config("rest", "\"203.0.113.10:8101-65535/tcp\""))
                .exit,
            0);
  for (const char* name : {"all", "media", "rest"}) hanatd.wait_target(name, "primary");
  EXPECT_EQ(low_again.ask().text, "primary:2500");
  EXPECT_EQ(middle_again.ask().text, "primary:5001") << "another service's now, on the same server";
  ASSERT_EQ(hanatd.ctl({"force-backup", "media"}).exit, 0);
  hanatd.wait_target("media", "backup");
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(5001)).text, "backup:5001");
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(2500)).text, "primary:2500");
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(8500)).text, "primary:8500");
  EXPECT_EQ(low_again.ask().text, "primary:2500");

  // One has all again.
  ASSERT_EQ(hanatd.reload(config("whole", "\"203.0.113.10:*/tcp\"")).exit, 0);
  hanatd.wait_target("whole", "primary");
  hanatd.wait_for([](const Status& now) { return server(service(now, "whole"), "backup").health == "up"; });
  for (const std::uint16_t port : std::initializer_list<std::uint16_t>{2500, 5001, 8500})
    EXPECT_EQ(first_of_new_service(lab, port), fmt::format("primary:{}", port)) << "nobody goes without an answer";
  ASSERT_EQ(hanatd.ctl({"force-backup", "whole"}).exit, 0);
  hanatd.wait_target("whole", "backup");
  for (const std::uint16_t port : std::initializer_list<std::uint16_t>{2500, 5001, 8500})
    EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(port)).text, fmt::format("backup:{}", port));
  EXPECT_EQ(hanatd.log().find("refused a change"), std::string::npos) << hanatd.log();
}

TEST(DrainingRange, ThatAReloadNarrowsDrainsOnWhereItStillIs) {
  Lab lab;
  const Fleet fleet{lab, {700, 8500, 9800}};
  const auto config = [](const std::string& ports) {
    return "[hanatd]\nreconcile = \"1s\"\n[service.all]\nlisten = \"203.0.113.10:" + ports + "/tcp\"\n" + ipv4_servers + pending(700) +
           paced + "on_forced = \"drain 5m\"\n";
  };
  Hanatd hanatd{lab, config("8000-10000")};
  hanatd.wait_target("all", "primary");
  TcpClient inside{lab, Host::client, Lab::vip(8500)}, outside{lab, Host::client, Lab::vip(9800)};
  ASSERT_EQ(inside.ask().text, "primary:8500");
  ASSERT_EQ(outside.ask().text, "primary:9800");
  ASSERT_EQ(hanatd.ctl({"force-backup", "all"}).exit, 0);
  hanatd.wait_target("all", "backup");
  ASSERT_EQ(hanatd.reload(config("8000-9500")).exit, 0);
  Attempt last = outside.ask();
  for (const auto end = TestClock::now() + milliseconds{5000}; last.result == Result::answered && TestClock::now() < end;)
    last = outside.ask();
  EXPECT_NE(last.result, Result::answered) << "its port is no longer configured";
  hanatd.wait_for([](const Status& now) {
    const auto& draining = service(now, "all").draining;
    return draining.size() == 1 && draining[0].left == 1U && draining[0].ends_in_s;
  });
  EXPECT_EQ(inside.wait_for_end(milliseconds{2500}).result, Result::timeout) << "it is an audit's second look as well";
  EXPECT_EQ(inside.ask().text, "primary:8500");
  for (const char* words : {"are no longer cut", "unexpected flow"}) EXPECT_EQ(hanatd.log().find(words), std::string::npos) << hanatd.log();
}

} // namespace
} // namespace hanat::test
