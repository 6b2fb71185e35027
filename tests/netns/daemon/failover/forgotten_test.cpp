// Healthy connections whose packets fit no conntrack entry: conntrack forgot the flow, or one segment lies beyond the window. A target that
// has not moved keeps them. Not here: flows that were cut (sessions, recent).
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>

#include "nat/nftables/layout.hpp"
#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"
#include "tests/netns/lab/segments.hpp"

namespace hanat::test {
namespace {

using HealthyParameters = std::tuple<bool, Family, bool>; // VIP local, family, a range of ports

class HealthyFlows : public testing::TestWithParam<HealthyParameters> {
protected:
  bool local() const { return std::get<0>(GetParam()); }
  Family family() const { return std::get<1>(GetParam()); }
  bool range() const { return std::get<2>(GetParam()); }
  Endpoint vip() const { return Lab::vip(range() ? 8443 : 443, family()); }
  FastService web() const {
    const std::string address = family() == Family::ipv4 ? "203.0.113.10" : "[2001:db8::10]";
    FastService service{.listen = address + (range() ? ":8000-9999/tcp" : ":443/tcp"), .family = family()};
    if (range()) service.probe = "type = \"tcp\", port = 8443", service.port = 0;
    return service;
  }
};

std::string healthy_name(const testing::TestParamInfo<HealthyParameters>& info) {
  const auto [local, family, range] = info.param;
  return fmt::format("{}{}{}", local ? "VipLocal" : "VipRouted", family == Family::ipv4 ? "IPv4" : "IPv6", range ? "Range" : "");
}
INSTANTIATE_TEST_SUITE_P(, HealthyFlows, testing::Combine(testing::Bool(), testing::Values(Family::ipv4, Family::ipv6), testing::Bool()),
                         healthy_name);

TEST_P(HealthyFlows, GoOnWhenConntrackHasForgottenThem) {
  Lab lab{{.vip_local = local()}};
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  Hanatd hanatd{lab, fast_service(web())};
  hanatd.wait_target("web", "primary");
  std::vector<TcpClient> clients;
  for (int count = 0; count < 20; ++count) {
    clients.emplace_back(lab, Host::client, vip());
    ASSERT_EQ(clients.back().ask().text, "primary");
  }
  for (int round = 0; round < 2; ++round) {
    lab.must(Host::gateway, "conntrack -F 2>&1");
    for (TcpClient& client : clients) {
      const Attempt attempt = client.ask();
      EXPECT_EQ(attempt.result, Result::answered) << attempt;
      EXPECT_EQ(attempt.text, "primary");
    }
  }
}

/// A segment half a gigabyte ahead, with the number that makes a reset in reply to it an exact one.
constexpr std::uint32_t beyond_window = 0x20000000;

TEST_P(HealthyFlows, SurviveASegmentBeyondTheWindowFromEitherSide) {
  Lab lab{{.vip_local = local()}};
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  Hanatd hanatd{lab, fast_service(web())};
  hanatd.wait_target("web", "primary");
  TcpClient client{lab, Host::client, vip()};
  ASSERT_EQ(client.ask().text, "primary");
  const auto expect_alive = [&client](const char* sender) {
    const Attempt attempt = client.ask();
    EXPECT_EQ(attempt.result, Result::answered) << "a segment from the " << sender << ": " << attempt;
  };
  const Endpoint here{.address = Lab::address(Host::client, family()), .port = client.local_port()};
  TcpNumbers numbers = tcp_numbers(client.fd());
  send_segment(
      lab, Host::client,
      {.from = here, .to = vip(), .sequence = numbers.to_send + beyond_window, .acknowledged = numbers.to_receive, .flags = TH_ACK});
  expect_alive("client");
  numbers = tcp_numbers(client.fd());
  send_segment(lab, Host::primary,
               {.from = Lab::endpoint(Host::primary, 8443, family()),
                .to = here,
                .sequence = numbers.to_receive + beyond_window,
                .acknowledged = numbers.to_send,
                .flags = TH_ACK});
  expect_alive("server");
}

TEST(ForgottenFlows, GoOnHoweverOftenTheyAreForgottenAndWhateverArrivesLate) {
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    Lab lab;
    TcpServer primary{lab, Host::primary, 8443, "primary"};
    TcpServer backup{lab, Host::backup, 8443, "backup"};
    Hanatd hanatd{lab,
                  fast_service({.listen = family == Family::ipv4 ? "203.0.113.10:443/tcp" : "[2001:db8::10]:443/tcp", .family = family})};
    hanatd.wait_target("web", "primary");
    TcpClient forgotten{lab, Host::client, Lab::vip(443, family)}, late{lab, Host::client, Lab::vip(443, family)};
    ASSERT_EQ(forgotten.ask().text, "primary");
    ASSERT_EQ(late.ask().text, "primary");
    const Endpoint here{.address = Lab::address(Host::client, family), .port = late.local_port()};
    for (int round = 0; round < 6; ++round) {
      const TcpNumbers numbers = tcp_numbers(late.fd());
      send_segment(lab, Host::client,
                   {.from = here,
                    .to = Lab::vip(443, family),
                    .sequence = numbers.to_send + beyond_window,
                    .acknowledged = numbers.to_receive,
                    .flags = TH_ACK});
      const Attempt after_late = late.ask();
      ASSERT_EQ(after_late.text, "primary") << "round " << round << ": " << after_late;
      lab.must(Host::gateway, "conntrack -F 2>&1");
      const Attempt after_flush = forgotten.ask();
      ASSERT_EQ(after_flush.text, "primary") << "round " << round << ": " << after_flush;
      ASSERT_EQ(late.ask().text, "primary");
      std::this_thread::sleep_for(nat::orphans_now_for + milliseconds{50}); // what comes within it counts once
    }
  }
}

TEST(ForgottenFlows, ToAServerItselfGoOnEvenWithoutTcpLoose) {
  for (const bool loose : {true, false}) {
    Lab lab{{.tcp_loose = loose}};
    TcpServer primary{lab, Host::primary, 8443, "primary"};
    TcpServer backup{lab, Host::backup, 8443, "backup"};
    Hanatd hanatd{lab, fast_service()};
    hanatd.wait_target("web", "primary");
    TcpClient client{lab, Host::client, Lab::endpoint(Host::primary, 8443)};
    ASSERT_EQ(client.ask().text, "primary");
    lab.must(Host::gateway, "conntrack -F 2>&1");
    const Attempt attempt = client.ask();
    EXPECT_EQ(attempt.text, "primary") << "tcp_loose " << loose << ": " << attempt;
  }
}

TEST(ForgottenFlows, WithATranslatedSourceAreResetAtOnceAndNotLeftHanging) {
  // The server knows the flow by a source port that conntrack forgot. A bare rule with random ports ends it in the same way.
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  Hanatd hanatd{lab, fast_service({.extra = "snat = \"masquerade\""})};
  hanatd.wait_target("web", "primary");
  TcpClient client{lab, Host::client, Lab::vip(443)};
  ASSERT_EQ(client.ask().text, "primary");
  lab.must(Host::gateway, "conntrack -F 2>&1");
  const Attempt attempt = client.ask();
  EXPECT_EQ(attempt.result, Result::reset) << attempt;
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443)).text, "primary");
}

TEST(ForgottenFlows, OfATargetThatMovedAreResetAtOnce) {
  for (const bool loose : {true, false}) {
    Lab lab{{.tcp_loose = loose}};
    TcpServer primary{lab, Host::primary, 8443, "primary"};
    TcpServer backup{lab, Host::backup, 8443, "backup"};
    Hanatd hanatd{lab, fast_service({.extra = "nudge = false"})};
    hanatd.wait_target("web", "primary");
    TcpClient client{lab, Host::client, Lab::vip(443)};
    ASSERT_EQ(client.ask().text, "primary");
    lab.silent(Host::primary, true);
    hanatd.wait_target("web", "backup");
    lab.must(Host::gateway, "conntrack -F 2>&1");
    const Attempt attempt = client.ask();
    EXPECT_EQ(attempt.result, Result::reset) << "tcp_loose " << loose << ": " << attempt;
    EXPECT_LT(attempt.latency, milliseconds{150});
  }
}

TEST(ForgottenFlows, ThatNobodyPicksUpAreResetWithinSecondsAndNotLeftHanging) {
  const char* const strict =
      "nft 'table ip operators { chain f { type filter hook forward priority 0; ct state new tcp flags & syn == 0 drop; }; }'";
  for (const bool loose : {true, false}) {
    Lab lab{{.vip_local = true, .tcp_loose = loose}};
    if (loose) lab.must(Host::gateway, strict); // a firewall instead that takes no connection in the middle
    TcpServer primary{lab, Host::primary, 8443, "primary"};
    TcpServer backup{lab, Host::backup, 8443, "backup"};
    Hanatd hanatd{lab, fast_service()};
    hanatd.wait_target("web", "primary");
    TcpClient client{lab, Host::client, Lab::vip(443)};
    ASSERT_EQ(client.ask().text, "primary");
    lab.must(Host::gateway, "conntrack -F 2>&1");
    const Attempt attempt = client.ask(milliseconds{15'000});
    EXPECT_EQ(attempt.result, Result::reset) << "tcp_loose " << loose << ": " << attempt;
  }
}

} // namespace
} // namespace hanat::test
