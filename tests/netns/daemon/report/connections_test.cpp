// The connections of a service on a real gateway: of TCP and UDP, by state, those that servers opened, and those on their way out; fast
// beside many others, and never in the way of a flip. Not here: the sums (unit: report/make_connections_test).
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "daemon/api/client.hpp"
#include "daemon/api/connections.hpp"
#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"
#include "tests/netns/lab/synth.hpp"

namespace hanat::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class ConnectionsOfAGateway : public testing::Test {
protected:
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
  UdpServer primary_udp{lab, Host::primary, 8443, "primary"}, backup_udp{lab, Host::backup, 8443, "backup"};

  static ConnectionsReport connections(const Hanatd& hanatd, int list = 0) {
    return call(hanatd.socket(), "Connections", {{"service", "web"}, {"list", list}}, std::chrono::seconds{60})
        .at("connections")
        .get<ConnectionsReport>();
  }
  static std::string config() {
    return fast_service({.listen = "203.0.113.10:443/tcp\", \"203.0.113.10:443/udp", .extra = "on_forced = \"drain 60s\""});
  }
};

TEST_F(ConnectionsOfAGateway, AreCountedByServerAndState) {
  Hanatd hanatd{lab, config()};
  wait_both_up(hanatd);
  std::vector<TcpClient> clients;
  for (int count = 0; count < 3; ++count) {
    clients.emplace_back(lab, Host::client, Lab::vip(443));
    ASSERT_EQ(clients.back().ask().text, "primary");
  }
  UdpClient datagrams{lab, Host::client, Lab::vip(443)};
  ASSERT_EQ(datagrams.ask().result, Result::answered);
  connect_once(lab, Host::client, Lab::vip(443)); // and it is closed again
  const Mapping mirrored{vip("203.0.113.10", 443, Protocol::udp), Lab::endpoint(Host::primary, 8443)};
  lab.in(Host::gateway, [&] { synthesise(opened_by_server(flows_of(mirrored, 7))); });

  const ConnectionsReport report = connections(hanatd, 100);
  ASSERT_EQ(report.servers.size(), 2U);
  const ConnectionCounts& counts = report.servers[0].counts;
  EXPECT_TRUE(report.servers[0].target);
  EXPECT_EQ(counts.established, 3U);
  EXPECT_GE(counts.closing, 1U);
  EXPECT_EQ(counts.answered + counts.unanswered, 8U);
  EXPECT_GE(counts.answered, 1U);
  EXPECT_EQ(counts.opened_by_server, 7U);
  EXPECT_EQ(report.servers[1].counts.total(), 0U);
  EXPECT_EQ(report.list.size(), counts.total());
  const Output output = hanatd.ctl({"connections", "web"});
  EXPECT_EQ(output.exit, 0) << output.err;
  EXPECT_THAT(output.out,
              HasSubstr("primary: not now: it gets the new connections, and has 11 connections. First move the traffic to backup "));
  EXPECT_THAT(output.out, HasSubstr("\n  -> hanatctl force-backup web\n  -> hanatctl connections web\n"));
  EXPECT_THAT(output.out, HasSubstr("backup: may be unplugged: it has no connections and gets no new ones"));
}

TEST_F(ConnectionsOfAGateway, SayWhenThePrimaryMayBeUnplugged) {
  Hanatd hanatd{lab, config()};
  wait_both_up(hanatd);
  auto client = std::make_unique<TcpClient>(lab, Host::client, Lab::vip(443));
  ASSERT_EQ(client->ask().text, "primary");
  ASSERT_EQ(hanatd.ctl({"force-backup", "web"}).exit, 0);
  hanatd.wait_target("web", "backup");
  const ConnectionsReport draining = connections(hanatd);
  EXPECT_EQ(draining.servers[0].counts.established, 1U);
  EXPECT_EQ(draining.servers[0].leaving, "drain");
  EXPECT_THAT(hanatd.ctl({"connections", "web"}).out,
              HasSubstr("primary: not yet: it gets no new connections, and has 1 connection; the drain ends in "));
  client.reset();
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{10};
  std::string text;
  do text = hanatd.ctl({"connections", "web"}).out;
  while (text.find("primary: may be unplugged") == std::string::npos && std::chrono::steady_clock::now() < end);
  EXPECT_THAT(text, HasSubstr("primary: may be unplugged"));
}

TEST_F(ConnectionsOfAGateway, AreCountedFastBesideManyAndNeverInTheWayOfAFlip) {
  Hanatd hanatd{lab, config()};
  wait_both_up(hanatd);
  const Mapping others{vip("203.0.113.77", 80, Protocol::tcp), endpoint("198.18.77.2", 80)};
  const Mapping own{vip("203.0.113.10", 443, Protocol::tcp), Lab::endpoint(Host::primary, 8443)};
  lab.in(Host::gateway, [&] {
    synthesise(flows_of(others, 90'000));
    synthesise(flows_of(own, 10'000));
  });
  const ConnectionsReport report = connections(hanatd);
  EXPECT_EQ(report.servers[0].counts.total(), 10'000U);
  EXPECT_LT(report.took_ms, 3'000) << "that of a debug build on a busy machine";

  std::atomic<bool> stop = false;
  std::thread counting{[&] {
    while (!stop) connections(hanatd);
  }};
  std::vector<std::chrono::milliseconds> took;
  for (int flip = 0; flip < 10; ++flip) {
    const auto start = std::chrono::steady_clock::now();
    call(hanatd.socket(), "Force", {{"service", "web"}, {"server", flip % 2 == 0 ? "backup" : "primary"}});
    took.push_back(std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start));
  }
  stop = true;
  counting.join();
  std::ranges::sort(took);
  EXPECT_LE(took[took.size() / 2], std::chrono::milliseconds{50});
}

} // namespace
} // namespace hanat::test
