// The source address and port that a server sees, looked at from the server's socket; and what a source port that is used again would do.
// Not here: that translated services work at all (failover).
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/observer.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

constexpr std::uint16_t first_probe_port = 61000; // masquerade stays below

const Address fixed = Address::parse("198.18.100.1").value();

/// TCP 443 and UDP 53, at the servers' 8443; the probe asks a port of its own, so that the test meets clients alone.
std::string observed_service(const std::string& snat) {
  return fast_service({.listen = "203.0.113.10:443/tcp\", \"203.0.113.10:53/udp",
                       .probe = "type = \"tcp\", port = 9000",
                       .extra = "snat = \"" + snat + "\""});
}

class Source : public testing::Test {
protected:
  Source() { // and a way to the VIP for the gateway's own clients
    lab.must(Host::gateway, "ip address add 198.18.100.1 dev lo && ip route add default via " + Lab::address(Host::client).text());
  }
  Lab lab{{.bystander = true}};
  TcpServer primary_probe{lab, Host::primary, 9000, "primary"}, backup_probe{lab, Host::backup, 9000, "backup"};
  Observer primary_tcp{lab, Host::primary, SOCK_STREAM, 8443}, primary_udp{lab, Host::primary, SOCK_DGRAM, 8443};
  Observer backup_tcp{lab, Host::backup, SOCK_STREAM, 8443}, backup_udp{lab, Host::backup, SOCK_DGRAM, 8443};
};

TEST_F(Source, IsTheClientsOwnWithoutTranslation) {
  Hanatd hanatd{lab, observed_service("none")};
  hanatd.wait_target("web", "primary");
  const TcpClient client{lab, Host::client, Lab::vip(443), milliseconds{1000}, 40001};
  EXPECT_EQ(primary_tcp.meet(), (Endpoint{Lab::address(Host::client), 40001}));
  Sender sender{lab, Host::client, Lab::vip(53), 40002};
  sender.send();
  EXPECT_EQ(primary_udp.hear(), (Endpoint{Lab::address(Host::client), 40002}));
}

TEST_F(Source, IsTheFixedAddressBeforeAndAfterAFailover) {
  Hanatd hanatd{lab, observed_service(fixed.text())};
  hanatd.wait_target("web", "primary");
  hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "backup").health == "up"; });
  for (const bool failed_over : {false, true}) {
    ASSERT_EQ(hanatd.ctl({failed_over ? "force-backup" : "force-primary", "web"}).exit, 0);
    hanatd.wait_target("web", failed_over ? "backup" : "primary");
    for (const Host from : {Host::client, Host::bystander, Host::gateway}) {
      const TcpClient client{lab, from, Lab::vip(443)};
      const auto peer = (failed_over ? backup_tcp : primary_tcp).meet();
      ASSERT_TRUE(peer) << to_text(from);
      EXPECT_EQ(peer->address, fixed) << to_text(from);
      Sender sender{lab, from, Lab::vip(53), failed_over ? std::uint16_t{40003} : std::uint16_t{40002}};
      sender.send();
      const auto heard = (failed_over ? backup_udp : primary_udp).hear();
      ASSERT_TRUE(heard) << to_text(from);
      EXPECT_EQ(heard->address, fixed) << to_text(from);
      (failed_over ? backup_udp : primary_udp).say(*heard, "answer");
      EXPECT_EQ(sender.hear(milliseconds{1000}), "answer") << to_text(from);
    }
  }
}

class RandomPort : public Source, public testing::WithParamInterface<std::string> {};
class LateAnswer : public Source, public testing::WithParamInterface<std::string> {};
std::string name_of_snat(const testing::TestParamInfo<std::string>& test) {
  return test.param == "masquerade" ? "Masquerade" : "FixedAddress";
}
INSTANTIATE_TEST_SUITE_P(, RandomPort, testing::Values("masquerade", fixed.text()), name_of_snat);
INSTANTIATE_TEST_SUITE_P(, LateAnswer, testing::Values("masquerade", fixed.text()), name_of_snat);

TEST_P(RandomPort, IsBelowThoseOfProbesAndNeverTheClientsOwn) {
  Hanatd hanatd{lab, observed_service(GetParam())};
  hanatd.wait_target("web", "primary");
  constexpr unsigned count = 60;
  std::set<std::uint16_t> tcp, udp;
  unsigned kept = 0;
  for (unsigned number = 0; number < count; ++number) {
    const auto port = static_cast<std::uint16_t>(number % 2 == 0 ? 62000 + number : 40000 + number); // inside the probes' range, and out
    const TcpClient client{lab, Host::client, Lab::vip(443), milliseconds{1000}, port};
    Sender sender{lab, Host::client, Lab::vip(53), port};
    sender.send();
    const auto met = primary_tcp.meet(), heard = primary_udp.hear();
    ASSERT_TRUE(met && heard);
    for (const Endpoint& seen : {*met, *heard}) {
      EXPECT_EQ(seen.address, GetParam() == "masquerade" ? Lab::gateway_address(Host::primary) : fixed);
      EXPECT_GE(seen.port, 1024);
      EXPECT_LT(seen.port, first_probe_port);
      kept += seen.port == port ? 1U : 0U;
    }
    tcp.insert(met->port);
    udp.insert(heard->port);
  }
  EXPECT_LE(kept, 2U) << "ports are drawn, not kept";
  EXPECT_GE(tcp.size(), count - 3) << "and hardly ever twice";
  EXPECT_GE(udp.size(), count - 3);
  EXPECT_GT(*tcp.rbegin() - *tcp.begin(), 20000) << "from the whole range";
}

TEST_P(LateAnswer, ToAFlowThatWasCutReachesNobodyElse) {
  Hanatd hanatd{lab, observed_service(GetParam())};
  hanatd.wait_target("web", "primary");
  hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "backup").health == "up"; });
  for (std::uint16_t round = 0; round < 5; ++round) {
    const auto port = static_cast<std::uint16_t>(40000 + round); // of both clients
    Sender old_client{lab, Host::client, Lab::vip(53), port};
    old_client.send();
    const auto asked = primary_udp.hear();
    ASSERT_TRUE(asked);
    ASSERT_EQ(hanatd.ctl({"force-backup", "web"}).exit, 0);
    hanatd.wait_for([](const Status& now) {
      const auto& flip = service(now, "web").last_flip;
      return flip && flip->to == "backup" && flip->cut.udp > 0;
    });
    ASSERT_EQ(hanatd.ctl({"force-primary", "web"}).exit, 0);
    hanatd.wait_target("web", "primary");
    Sender next_client{lab, Host::bystander, Lab::vip(53), port};
    next_client.send();
    ASSERT_TRUE(primary_udp.hear());
    primary_udp.say(*asked, "the old client's secret");
    EXPECT_EQ(next_client.hear(milliseconds{100}), "") << "with source port " << asked->port;
    EXPECT_EQ(old_client.hear(milliseconds{1}), "") << "its flow was cut";
  }
}

} // namespace
} // namespace hanat::test
