// The main job, seen from the client's socket: the primary dies and the backup serves; both die and clients are refused at once; the
// primary comes back and serves again. From outside and on the gateway, VIP local and routed, both families, TCP and UDP, every source
// translation.
#include <string>
#include <tuple>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/netns/hanatd.hpp"
#include "tests/netns/lab.hpp"
#include "tests/netns/peers.hpp"
#include "tests/netns/scenario.hpp"

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

std::string name_of(const testing::TestParamInfo<Parameters>& info) {
  return fmt::format("{}{}{}", std::get<0>(info.param) == Location::local ? "VipLocal" : "VipRouted",
                     std::get<1>(info.param) == Family::ipv4 ? "IPv4" : "IPv6",
                     std::get<2>(info.param) == "none" ? "SourceKept" : "Masquerade");
}

INSTANTIATE_TEST_SUITE_P(, Failover,
                         testing::Combine(testing::Values(Location::local, Location::routed), testing::Values(Family::ipv4, Family::ipv6),
                                          testing::Values("none", "masquerade")),
                         name_of);

TEST_P(Failover, TcpGoesToTheBackupIsRefusedWithNoServerAndComesBack) {
  Lab lab{{.vip_local = location() == Location::local, .return_routes = snat() == "none"}};
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
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

} // namespace
} // namespace hanat::test
