// The main job, seen from the client's socket: the primary dies and the backup serves; both die and clients are refused at once; the
// primary comes back and serves again. From outside and on the gateway, VIP local and routed, both families, TCP and UDP, every source
// translation.
#include <string>
#include <thread>
#include <tuple>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

enum class Location : std::uint8_t { local, routed };
using Parameters = std::tuple<Location, Family, std::string>;

class Failover : public testing::TestWithParam<Parameters> {
protected:
  static Location location() { return std::get<0>(GetParam()); }
  static Family family() { return std::get<1>(GetParam()); }
  static const std::string& snat() { return std::get<2>(GetParam()); }
};

/// A gateway that has not the VIP itself routes it somewhere, as every gateway with an uplink does: else its own clients know no way at
/// all.
void uplink(Lab& lab) {
  lab.must(Host::gateway, fmt::format("ip route add default via {} && ip -6 route add default via {}", Lab::address(Host::client).text(),
                                      Lab::address(Host::client, Family::ipv6).text()));
}

std::string name_of(const testing::TestParamInfo<Parameters>& info) {
  return fmt::format("{}{}{}", std::get<0>(info.param) == Location::local ? "VipLocal" : "VipRouted",
                     std::get<1>(info.param) == Family::ipv4 ? "IPv4" : "IPv6",
                     std::get<2>(info.param) == "none" ? "SourceKept" : "Masquerade");
}

INSTANTIATE_TEST_SUITE_P(, Failover,
                         testing::Combine(testing::Values(Location::local, Location::routed), testing::Values(Family::ipv4, Family::ipv6),
                                          testing::Values("none", "masquerade")),
                         name_of);

/// A cut follows the flip within milliseconds (Sessions has the figure); what is sent between meets the old server. Here it is enough that
/// datagrams do not wait for TCP's entries, which are cut a second later.
Attempt ask_after_the_cut(UdpClient& client) {
  const auto deadline = TestClock::now() + milliseconds{600};
  Attempt result;
  do {
    result = client.ask(milliseconds{50});
    std::this_thread::sleep_for(milliseconds{1});
  } while (result.result != Result::answered && TestClock::now() < deadline);
  return result;
}

TEST_P(Failover, TcpGoesToTheBackupIsRefusedWithNoServerAndComesBack) {
  Lab lab{{.vip_local = location() == Location::local, .return_routes = snat() == "none"}};
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  uplink(lab);
  const Endpoint vip = Lab::vip(443, family());
  Hanatd hanatd{lab, fast_service({.listen = fmt::format("{}/tcp", to_text(vip)),
                                   .port = 8443,
                                   .family = family(),
                                   .extra = fmt::format("snat = \"{}\"", snat())})};
  hanatd.wait_target("web", "primary");
  for (const Host from : {Host::client, Host::gateway}) EXPECT_EQ(connect_once(lab, from, vip).text, "primary") << to_text(from);

  primary.kill();
  hanatd.wait_target("web", "backup");
  for (const Host from : {Host::client, Host::gateway}) EXPECT_EQ(connect_once(lab, from, vip).text, "backup") << to_text(from);

  backup.kill();
  hanatd.wait_target("web", "none");
  for (const Host from : {Host::client, Host::gateway}) {
    const Attempt attempt = connect_once(lab, from, vip);
    EXPECT_EQ(attempt.result, Result::refused) << to_text(from) << ": " << attempt;
    EXPECT_LT(attempt.latency, milliseconds{5}) << to_text(from);
  }

  backup.start();
  hanatd.wait_target("web", "backup");
  EXPECT_EQ(connect_once(lab, Host::client, vip).text, "backup");
  primary.start();
  hanatd.wait_target("web", "primary");
  for (const Host from : {Host::client, Host::gateway}) EXPECT_EQ(connect_once(lab, from, vip).text, "primary") << to_text(from);
}

TEST_P(Failover, UdpGoesToTheBackupIsRefusedWithNoServerAndComesBack) {
  Lab lab{{.vip_local = location() == Location::local, .return_routes = snat() == "none"}};
  uplink(lab);
  // The probe asks a TCP port beside the UDP one, as for a DNS server.
  TcpServer primary_probe{lab, Host::primary, 53, "primary"};
  TcpServer backup_probe{lab, Host::backup, 53, "backup"};
  UdpServer primary{lab, Host::primary, 53, "primary"};
  UdpServer backup{lab, Host::backup, 53, "backup"};
  const Endpoint vip = Lab::vip(5353, family());
  Hanatd hanatd{lab, fast_service({.listen = fmt::format("{}/udp", to_text(vip)),
                                   .port = 53,
                                   .family = family(),
                                   .probe = "type = \"tcp\", port = 53",
                                   .extra = fmt::format("snat = \"{}\"", snat())})};
  hanatd.wait_target("web", "primary");
  UdpClient outside{lab, Host::client, vip, 40000};
  UdpClient inside{lab, Host::gateway, vip, 40001};
  for (UdpClient* client : {&outside, &inside}) EXPECT_EQ(client->ask().text, "primary");

  primary.kill();
  primary_probe.kill();
  hanatd.wait_target("web", "backup");
  for (UdpClient* client : {&outside, &inside}) EXPECT_EQ(ask_after_the_cut(*client).text, "backup") << "the same socket, so the same flow";

  backup.kill();
  backup_probe.kill();
  hanatd.wait_target("web", "none");
  const Attempt refused = outside.ask();
  EXPECT_EQ(refused.result, Result::refused) << "the old flow's next datagram: " << refused;
  UdpClient fresh{lab, Host::client, vip, 40002};
  const Attempt first = fresh.ask();
  EXPECT_EQ(first.result, Result::refused) << "the first datagram of a new flow: " << first;
  EXPECT_NE(inside.ask(milliseconds{200}).result, Result::answered);

  primary.start();
  primary_probe.start();
  hanatd.wait_target("web", "primary");
  for (UdpClient* client : {&outside, &fresh}) EXPECT_EQ(ask_after_the_cut(*client).text, "primary") << "not pinned to the time of refusal";
}

TEST_P(Failover, AnEstablishedConnectionIsRefusedOnItsNextPacketWithNoServer) {
  Lab lab{{.vip_local = location() == Location::local, .return_routes = snat() == "none"}};
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  const Endpoint vip = Lab::vip(443, family());
  Hanatd hanatd{lab, fast_service({.listen = fmt::format("{}/tcp", to_text(vip)),
                                   .port = 8443,
                                   .family = family(),
                                   .extra = fmt::format("snat = \"{}\"", snat())})};
  hanatd.wait_target("web", "primary");
  TcpClient client{lab, Host::client, vip};
  ASSERT_EQ(client.ask().text, "primary");
  lab.silent(Host::primary, true); // no RST of its own
  hanatd.wait_target("web", "none");
  const Attempt attempt = client.ask();
  EXPECT_EQ(attempt.result, Result::reset) << attempt;
  EXPECT_LT(attempt.latency, milliseconds{50});
}

} // namespace
} // namespace hanat::test
