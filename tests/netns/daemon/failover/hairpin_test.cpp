// Clients whose answers would not pass the gateway: one in the network of its server, and a server that calls its own service. What they
// get with each `snat`, and whom the server sees. Not here: the source ports (source), clients from elsewhere (topology, clients).
#include <cctype>
#include <optional>
#include <string>
#include <thread>
#include <tuple>

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

constexpr milliseconds hopeless{150}; // an answer that comes takes less than one

/// Whether a bridge's packets pass the gateway's rules (br_netfilter), and answers are translated as if they were forwarded.
enum class Bridge : std::uint8_t { unfiltered, filtered };

/// Puts both servers and the bystander into one network behind one interface of the gateway's, where they reach each other directly.
void share_a_network(Lab& lab, Bridge bridge = Bridge::unfiltered) {
  const bool filtered = bridge == Bridge::filtered;
  lab.must(Host::gateway,
           fmt::format("for f in /proc/sys/net/bridge/bridge-nf-call-ip*tables; do [ ! -e $f ] || echo {} > $f; done", filtered ? 1 : 0));
  if (filtered) lab.must(Host::gateway, "test -e /proc/sys/net/bridge/bridge-nf-call-iptables");
  std::string gateway = "ip link add lan type bridge mcast_snooping 0 && ip link set lan up && ip address add fe80::1/64 dev lan nodad";
  for (const Host host : {Host::primary, Host::backup, Host::bystander}) {
    gateway += fmt::format(" && ip address flush dev to-{0} && ip link set to-{0} master lan{3} && ip address add {1}/24 dev lan"
                           " && ip address add {2}/64 dev lan nodad",
                           to_text(host), Lab::gateway_address(host).text(), Lab::gateway_address(host, Family::ipv6).text(),
                           // A frame may leave by the port that it came in by: a server's call of its own service stays on the bridge.
                           filtered ? fmt::format(" && ip link set to-{} type bridge_slave hairpin on", to_text(host)) : "");
    std::string routes = fmt::format("ip address replace fe80::{}/64 dev eth0 nodad && ip address del fe80::2/64 dev eth0",
                                     10 + static_cast<int>(host)); // each had that one on a link of its own
    for (const Host other : {Host::primary, Host::backup, Host::bystander}) {
      if (other == host) continue;
      routes += fmt::format(" && ip route add {}/32 dev eth0 && ip route add {}/128 dev eth0", Lab::address(other).text(),
                            Lab::address(other, Family::ipv6).text());
    }
    lab.must(host, routes);
  }
  lab.must(Host::gateway, gateway);
}

/// TCP 443 and UDP 53 of both servers' port 8443; the probe asks a port of its own, so that the test meets clients alone.
std::string hairpin_service(Family family, const std::string& snat) {
  return fast_service({.listen = fmt::format("{}/tcp\", \"{}/udp", to_text(Lab::vip(443, family)), to_text(Lab::vip(53, family))),
                       .family = family,
                       .probe = "type = \"tcp\", port = 9000",
                       .extra = snat});
}

bool both_are_up(const Status& now) {
  return server(service(now, "web"), "primary").health == "up" && server(service(now, "web"), "backup").health == "up";
}

struct TargetKind {
  Observer tcp, udp;
};

using HairpinParameters = std::tuple<Family, std::string>; // and snat
class Hairpin : public testing::TestWithParam<HairpinParameters> {
protected:
  Family family() const { return std::get<0>(GetParam()); }
  std::string snat() const { return fmt::format("snat = \"{}\"", std::get<1>(GetParam())); }
  bool is(const char* word) const { return std::get<1>(GetParam()) == word; }
  Address own(Host host) const { return Lab::address(host, family()); }
  Address gateways(Host link) const { return Lab::gateway_address(link, family()); }

  /// A connection and a datagram of a host: whom the server sees; nullopt: the host gets no answer.
  void expect_seen(Host from, TargetKind& at, std::optional<Address> as, const std::string& when) {
    const Endpoint tcp = Lab::vip(443, family()), udp = Lab::vip(53, family());
    if (!as) {
      EXPECT_NE(connect_once(lab, from, tcp, hopeless).result, Result::answered) << when;
      EXPECT_NE(UdpClient(lab, from, udp).ask(hopeless).result, Result::answered) << when;
      at.udp.forget(); // it did arrive
      return;
    }
    std::optional<TcpClient> client;
    ASSERT_NO_THROW(client.emplace(lab, from, tcp, milliseconds{2000})) << when;
    const auto met = at.tcp.meet();
    ASSERT_TRUE(met) << when;
    EXPECT_EQ(met->address.text(), as->text()) << when;
    Sender sender{lab, from, udp, next_port_++};
    sender.send();
    const auto heard = at.udp.hear();
    ASSERT_TRUE(heard) << when;
    EXPECT_EQ(heard->address.text(), as->text()) << when;
    at.udp.say(*heard, "answer");
    EXPECT_EQ(sender.hear(milliseconds{1000}), "answer") << when;
  }

  Lab lab{{.bystander = true}};
  TcpServer primary_probe{lab, Host::primary, 9000, "primary"}, backup_probe{lab, Host::backup, 9000, "backup"};

private:
  std::uint16_t next_port_ = 40000;
};

std::string name_of_hairpin(const testing::TestParamInfo<HairpinParameters>& test) {
  std::string name = std::get<1>(test.param) + (std::get<0>(test.param) == Family::ipv4 ? "IPv4" : "IPv6");
  name[0] = static_cast<char>(std::toupper(name[0]));
  return name;
}
INSTANTIATE_TEST_SUITE_P(, Hairpin,
                         testing::Values(HairpinParameters{Family::ipv4, "none"}, HairpinParameters{Family::ipv4, "hairpin"},
                                         HairpinParameters{Family::ipv6, "hairpin"}, HairpinParameters{Family::ipv6, "masquerade"}),
                         name_of_hairpin);

TEST_P(Hairpin, AClientInTheServersNetworkIsAnsweredWhereItsSourceIsTranslated) {
  share_a_network(lab);
  TargetKind primary{{lab, Host::primary, SOCK_STREAM, 8443, family()}, {lab, Host::primary, SOCK_DGRAM, 8443, family()}};
  TargetKind backup{{lab, Host::backup, SOCK_STREAM, 8443, family()}, {lab, Host::backup, SOCK_DGRAM, 8443, family()}};
  Hanatd hanatd{lab, hairpin_service(family(), snat())};
  hanatd.wait_target("web", "primary");
  hanatd.wait_for(both_are_up);
  for (const Host target : {Host::primary, Host::backup, Host::primary}) {
    const std::string when = fmt::format("at the {}", to_text(target));
    ASSERT_EQ(hanatd.ctl({target == Host::primary ? "force-primary" : "force-backup", "web"}).exit, 0);
    hanatd.wait_target("web", std::string{to_text(target)});
    TargetKind& server = target == Host::primary ? primary : backup;
    // Of the addresses in its network the gateway takes the one of the server's subnet.
    const auto translated = gateways(target);
    expect_seen(Host::bystander, server, is("none") ? std::nullopt : std::optional{translated}, when + ", from its network");
    expect_seen(Host::client, server, is("masquerade") ? translated : own(Host::client), when + ", from elsewhere");
    if (is("none")) break; // seen
    const Host other = target == Host::primary ? Host::backup : Host::primary;
    for (const Host itself : {target, other}) // what a server calls is its own service, whoever serves it
      expect_seen(itself, server, translated, fmt::format("{}, from the {}", when, to_text(itself)));
  }
}

TEST_P(Hairpin, AServerInANetworkOfItsOwnCallsItsOwnService) {
  TargetKind primary{{lab, Host::primary, SOCK_STREAM, 8443, family()}, {lab, Host::primary, SOCK_DGRAM, 8443, family()}};
  TargetKind backup{{lab, Host::backup, SOCK_STREAM, 8443, family()}, {lab, Host::backup, SOCK_DGRAM, 8443, family()}};
  const std::string path = fmt::format("route add default via {}", own(Host::client).text()); // to the VIP, for its own clients
  lab.must(Host::gateway, fmt::format("ip {} {}", family() == Family::ipv4 ? "-4" : "-6", path));
  Hanatd hanatd{lab, hairpin_service(family(), snat())};
  hanatd.wait_target("web", "primary");
  hanatd.wait_for(both_are_up);
  expect_seen(Host::gateway, primary, is("masquerade") ? gateways(Host::primary) : gateways(Host::client), "the gateway itself");
  expect_seen(Host::primary, primary, is("none") ? std::nullopt : std::optional{gateways(Host::primary)}, "itself");
  expect_seen(Host::backup, primary, is("masquerade") ? gateways(Host::primary) : own(Host::backup), "the other one, through the gateway");
  ASSERT_EQ(hanatd.ctl({"force-backup", "web"}).exit, 0);
  hanatd.wait_target("web", "backup");
  expect_seen(Host::backup, backup, is("none") ? std::nullopt : std::optional{gateways(Host::backup)}, "itself, after the flip");
  expect_seen(Host::primary, backup, is("masquerade") ? gateways(Host::backup) : own(Host::primary), "the other one, after the flip");
}

class HairpinOnABridge : public Hairpin {};
INSTANTIATE_TEST_SUITE_P(, HairpinOnABridge,
                         testing::Values(HairpinParameters{Family::ipv4, "hairpin"}, HairpinParameters{Family::ipv4, "masquerade"},
                                         HairpinParameters{Family::ipv6, "hairpin"}, HairpinParameters{Family::ipv6, "masquerade"}),
                         name_of_hairpin);

TEST_P(HairpinOnABridge, WhosePacketsPassTheRulesItsServersCallTheirOwnService) {
  share_a_network(lab, Bridge::filtered);
  lab.must(Host::gateway,
           fmt::format("ip {} route add default via {}", family() == Family::ipv4 ? "-4" : "-6", own(Host::client).text())); // to the VIP
  TargetKind primary{{lab, Host::primary, SOCK_STREAM, 8443, family()}, {lab, Host::primary, SOCK_DGRAM, 8443, family()}};
  TargetKind backup{{lab, Host::backup, SOCK_STREAM, 8443, family()}, {lab, Host::backup, SOCK_DGRAM, 8443, family()}};
  Hanatd hanatd{lab, hairpin_service(family(), snat())};
  hanatd.wait_target("web", "primary");
  hanatd.wait_for(both_are_up);
  for (const Host target : {Host::primary, Host::backup}) {
    ASSERT_EQ(hanatd.ctl({target == Host::primary ? "force-primary" : "force-backup", "web"}).exit, 0);
    hanatd.wait_target("web", std::string{to_text(target)});
    TargetKind& server = target == Host::primary ? primary : backup;
    const auto translated = gateways(target);
    for (const Host from : {Host::primary, Host::backup, Host::bystander})
      expect_seen(from, server, translated, fmt::format("at the {}, from the {}", to_text(target), to_text(from)));
    expect_seen(Host::client, server, is("masquerade") ? translated : own(Host::client), "from elsewhere");
    expect_seen(Host::gateway, server, is("masquerade") ? translated : gateways(Host::client), "the gateway itself");
  }
}

// ---- hairpin clients and a server that dies

class HairpinFailover : public testing::TestWithParam<Family> {};
INSTANTIATE_TEST_SUITE_P(, HairpinFailover, testing::Values(Family::ipv4, Family::ipv6),
                         [](const auto& test) { return test.param == Family::ipv4 ? "IPv4" : "IPv6"; });

TEST_P(HairpinFailover, ItsClientsAreToldAndMovedLikeAllOthers) {
  Lab lab{{.bystander = true}};
  share_a_network(lab);
  TcpServer primary_probe{lab, Host::primary, 9000, "primary"}, backup_probe{lab, Host::backup, 9000, "backup"};
  TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
  UdpServer primary_udp{lab, Host::primary, 8443, "primary"}, backup_udp{lab, Host::backup, 8443, "backup"};
  const Endpoint tcp = Lab::vip(443, GetParam()), udp = Lab::vip(53, GetParam());
  Hanatd hanatd{lab, hairpin_service(GetParam(), "snat = \"hairpin\"")};
  hanatd.wait_target("web", "primary");
  hanatd.wait_for(both_are_up);
  TcpClient idle{lab, Host::bystander, tcp}, own_service{lab, Host::backup, tcp};
  ASSERT_EQ(idle.ask().text, "primary");
  ASSERT_EQ(own_service.ask().text, "primary");
  UdpStream stream{lab, Host::bystander, udp, milliseconds{2}, 40000};
  for (int asked = 0; asked < 20; ++asked) ASSERT_EQ(idle.ask().text, "primary") << "no redirect of the gateway's leads it astray";
  lab.silent(Host::primary, true);
  hanatd.wait_target("web", "backup");
  EXPECT_EQ(idle.wait_for_end(milliseconds{1000}).result, Result::reset) << "nudged";
  EXPECT_EQ(own_service.wait_for_end(milliseconds{1000}).result, Result::reset) << "nudged";
  for (const Host from : {Host::bystander, Host::backup, Host::client}) EXPECT_EQ(connect_once(lab, from, tcp).text, "backup");
  const auto deadline = TestClock::now() + milliseconds{1000};
  while (backup_udp.received() == 0 && TestClock::now() < deadline) std::this_thread::sleep_for(milliseconds{2});
  EXPECT_EQ(stream.finish().back().by, "backup");
}

} // namespace
} // namespace hanat::test
