// Clients with a source port of their own, who connect again as soon as they are reset. Their old entry is in the way of the new SYN.
// Not here: clients with a port of the kernel's choice (sessions).
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

constexpr std::uint16_t own_port = 40'000;

class ReconnectingClients : public testing::TestWithParam<Family> {};
INSTANTIATE_TEST_SUITE_P(, ReconnectingClients, testing::Values(Family::ipv4, Family::ipv6),
                         [](const auto& one) { return one.param == Family::ipv4 ? "IPv4" : "IPv6"; });

TEST_P(ReconnectingClients, WithAFixedSourcePortReachTheBackupAtOnce) {
  const Family family = GetParam();
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  const Endpoint vip = Lab::vip(443, family);
  Hanatd hanatd{lab, fast_service({.listen = to_text(vip) + "/tcp", .family = family})};
  hanatd.wait_target("web", "primary");
  hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "backup").health == "up"; });
  std::vector<TcpClient> clients;
  constexpr std::uint16_t number = 5;
  for (std::uint16_t client = 0; client < number; ++client) {
    clients.emplace_back(lab, Host::client, vip, milliseconds{3000}, own_port + client);
    ASSERT_EQ(clients.back().ask().text, "primary");
  }
  lab.silent(Host::primary, true);
  for (std::uint16_t client = 0; client < number; ++client) {
    ASSERT_EQ(clients.front().wait_for_end(milliseconds{5000}).result, Result::reset);
    clients.erase(clients.begin()); // the port is free
    const Attempt again = connect_once(lab, Host::client, vip, milliseconds{3000}, own_port + client);
    EXPECT_EQ(again.text, "backup") << again;
    EXPECT_LT(again.latency, milliseconds{900}) << "without waiting for its next SYN; the benchmark `told` has the figure";
    fmt::print("port {}: {:.1f} ms\n", own_port + client, std::chrono::duration<double, std::milli>(again.latency).count());
  }
  const Status status = hanatd.wait_for([](const Status& now) { return service(now, "web").last_flip->cut_ms.has_value(); });
  // Where a nudge met the closed port, the client sent a reset: conntrack itself drops such an entry for the next SYN, and nobody counts
  // it.
  EXPECT_LE(service(status, "web").last_flip->cut.tcp, number) << "each old flow counts once, whenever its entry left";
}

TEST_P(ReconnectingClients, ReachTheBackupWithoutNudgesAtTheirNextSyn) {
  const Family family = GetParam();
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  const Endpoint vip = Lab::vip(443, family);
  Hanatd hanatd{lab, fast_service({.listen = to_text(vip) + "/tcp", .family = family, .extra = "nudge = false"})};
  hanatd.wait_target("web", "primary");
  {
    TcpClient client{lab, Host::client, vip, milliseconds{3000}, own_port};
    ASSERT_EQ(client.ask().text, "primary");
    lab.silent(Host::primary, true);
    hanatd.wait_target("web", "backup");
    ASSERT_EQ(client.ask().result, Result::reset);
  }
  const Attempt again = connect_once(lab, Host::client, vip, milliseconds{5000}, own_port);
  EXPECT_EQ(again.text, "backup") << again;
  EXPECT_LT(again.latency, milliseconds{1900}) << "the second SYN, a second after the first";
}

} // namespace
} // namespace hanat::test
