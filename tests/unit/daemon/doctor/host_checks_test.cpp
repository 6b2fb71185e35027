// Each trap of the host as a value, and the finding that names it. Not here: reading the host, whole examinations (the doctor_test of
// netns).
#include "daemon/doctor/host_checks.hpp"

#include <cerrno>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/doctor/examination.hpp"

namespace hanat {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Address ip_of(const char* text) { return *Address::parse(text); }

std::vector<std::string> codes(const std::vector<Finding>& all) {
  std::vector<std::string> result;
  for (const Finding& finding : all) result.push_back(finding.code);
  return result;
}

class HostChecks : public testing::Test {
protected:
  HostChecks() {
    host.ip6_forward = true;
    host.conntrack_max = 1000;
    const auto link = [](unsigned index, const char* name, std::vector<std::pair<Address, unsigned>> nets = {}) {
      InterfaceFacts made;
      made.index = index;
      made.name = name;
      made.up = true;
      made.nets = std::move(nets);
      return made;
    };
    host.interfaces = {link(1, "lo"), link(2, "eth0", {{ip_of("192.0.2.1"), 24}, {ip_of("2001:db8:1::1"), 64}}),
                       link(3, "eth1", {{ip_of("10.0.0.1"), 24}}), link(4, "eth2")};
    path.service = "web";
    path.vip = {.address = ip_of("203.0.113.10"), .protocol = Protocol::tcp, .port = 443};
    path.server = Endpoint{ip_of("10.0.0.11"), 8443};
    path.client = {ip_of("198.19.255.253"), 20'000};
    path.seen_by = "hanatd's own client by hanat-c0";
    path.path.to_server = {.error = 0, .interface = 3, .via = {}, .local = false};
    path.path.to_client = {.error = 0, .interface = 2, .via = {}, .local = false};
    path.result = FlowResult{};
  }
  std::vector<Finding> settings() const { return check_settings(before, host, path); }
  std::vector<Finding> flow() const { return check_flow(before, host, path); }

  HostFacts host, before;
  CheckedPath path;
};

TEST_F(HostChecks, FindNothingWhereAllIsWell) {
  path.result->outcome = FlowOutcome::answered;
  EXPECT_THAT(settings(), IsEmpty());
  EXPECT_THAT(flow(), IsEmpty());
}

TEST_F(HostChecks, NameForwarding) {
  auto off = host;
  for (InterfaceFacts& link : host.interfaces) link.forwarding = false;
  host.ip_forward = false;
  EXPECT_THAT(codes(settings()), ElementsAre("ip-forward-off"));
  EXPECT_THAT(settings()[0].remedy, HasSubstr("sysctl -w net.ipv4.ip_forward=1"));
  host = off;
  host.interfaces[2].forwarding = false;
  EXPECT_THAT(codes(settings()), ElementsAre("interface-forward-off"));
  EXPECT_EQ(settings()[0].severity, Severity::problem);
  host = off;
  host.interfaces[1].forwarding = false;
  EXPECT_EQ(settings().at(0).severity, Severity::warning) << "clients may come by another interface";
  path.own_client = false;
  EXPECT_EQ(settings().at(0).severity, Severity::problem) << "this client does";
  path.vip.address = ip_of("2001:db8::10");
  EXPECT_THAT(settings(), IsEmpty()) << "IPv6 has a switch of its own";
  host.ip6_forward = false;
  EXPECT_THAT(codes(settings()), ElementsAre("ipv6-forward-off"));
  EXPECT_THAT(settings()[0].remedy, testing::StartsWith("sysctl -w net.ipv6.conf.all.forwarding=1 "));
  host.interfaces[1].routes_by_ra = true;
  EXPECT_THAT(settings()[0].remedy, HasSubstr("net.ipv6.conf.eth0.accept_ra=2 net.ipv6.conf.all.forwarding=1 "));
  path.path.to_server.local = true;
  EXPECT_THAT(settings(), IsEmpty()) << "a server on this machine";
}

TEST_F(HostChecks, NameAFullConntrackTable) {
  host.conntrack_count = 899;
  EXPECT_THAT(settings(), IsEmpty());
  host.conntrack_count = 900;
  EXPECT_THAT(codes(settings()), ElementsAre("conntrack-nearly-full"));
  host.conntrack_count = 1000;
  EXPECT_THAT(codes(settings()), ElementsAre("conntrack-full"));
  EXPECT_THAT(settings()[0].remedy, HasSubstr("nf_conntrack_max=4000"));
  host.conntrack_count = 950;
  host.conntrack_drops = before.conntrack_drops + 1;
  EXPECT_THAT(codes(settings()), ElementsAre("conntrack-full")) << "packets were dropped meanwhile";
  host.conntrack_count = 300;
  EXPECT_THAT(settings(), IsEmpty()) << "two packets of a flow that come at once are counted, too";
}

TEST_F(HostChecks, NameAListenAddressThatNobodyOwns) {
  path.vip.address = ip_of("192.0.2.77");
  EXPECT_THAT(codes(settings()), ElementsAre("listen-address-unowned"));
  EXPECT_THAT(settings()[0].remedy, HasSubstr("ip address add 192.0.2.77/32 dev eth0"));
  EXPECT_EQ(settings()[0].severity, Severity::warning);
  path.path.vip = Neighbour::answers;
  EXPECT_THAT(codes(settings()), ElementsAre("listen-address-elsewhere"));
  EXPECT_EQ(settings()[0].severity, Severity::note) << "it may be on standby";
  host.has_vrrp = true;
  EXPECT_THAT(settings(), IsEmpty()) << "the other gateway has it";
  host.has_vrrp = false;
  path.path.proxied = true;
  EXPECT_THAT(settings(), IsEmpty()) << "this machine answers for it";
  path.path.proxied = false;
  host.interfaces[3].nets = {{ip_of("192.0.2.77"), 32}};
  EXPECT_THAT(settings(), IsEmpty());
}

TEST_F(HostChecks, NameRoutesAndSourceAddresses) {
  path.path.to_server.error = ENETUNREACH;
  EXPECT_THAT(codes(settings()), ElementsAre("no-route-to-server"));
  path.path.to_server.error = 0;
  path.own_client = false;
  path.path.to_client.error = ENETUNREACH;
  EXPECT_THAT(codes(settings()), ElementsAre("no-route-to-client"));
  EXPECT_TRUE(settings()[0].client_only);
  path.path.to_client.error = 0;
  path.snat = {.kind = nat::SnatKind::address, .address = ip_of("10.0.0.99")};
  EXPECT_THAT(codes(settings()), ElementsAre("snat-address-unowned"));
  EXPECT_EQ(settings()[0].severity, Severity::warning);
  path.path.snat = Neighbour::answers;
  EXPECT_THAT(settings(), IsEmpty()) << "another gateway has it";
  path.path.snat = Neighbour::failed;
  host.has_vrrp = true;
  EXPECT_THAT(settings(), IsEmpty());
  host.has_vrrp = false;
  path.path.read = false;
  EXPECT_THAT(settings(), IsEmpty()) << "nobody was asked";
  path.path.read = true;
  path.snat.address = ip_of("10.0.0.1");
  EXPECT_THAT(settings(), IsEmpty());
}

TEST_F(HostChecks, NameAClientInTheServersNet) {
  path.own_client = false;
  path.client.address = ip_of("10.0.0.50");
  EXPECT_THAT(codes(settings()), ElementsAre("hairpin"));
  path.snat.kind = nat::SnatKind::hairpin;
  EXPECT_THAT(settings(), IsEmpty());
}

TEST_F(HostChecks, NameABridgeWhosePacketsPassIptables) {
  path.snat.kind = nat::SnatKind::hairpin;
  host.bridge_nf_ipv4 = true;
  EXPECT_THAT(settings(), IsEmpty()) << "the server is on no bridge";
  host.interfaces[2].bridge = true;
  host.interfaces[3].master = 3;
  EXPECT_THAT(codes(settings()), ElementsAre("bridge-nf"));
  host.interfaces[3].hairpin = true;
  EXPECT_THAT(settings(), IsEmpty());
  host.interfaces[3].hairpin = false;
  path.snat.kind = nat::SnatKind::none;
  EXPECT_THAT(settings(), IsEmpty());
}

TEST_F(HostChecks, FollowASilentFlow) {
  EXPECT_THAT(codes(flow()), ElementsAre("not-forwarded"));
  path.path.server = Neighbour::failed;
  EXPECT_THAT(codes(flow()), ElementsAre("server-no-neighbour"));
  path.result->left_by = "eth1";
  EXPECT_THAT(codes(flow()), ElementsAre("no-return-route"));
  EXPECT_THAT(flow()[0].remedy, HasSubstr("ip route add CLIENTS_NET via 10.0.0.1 "));
  EXPECT_EQ(flow()[0].seen_by, "hanatd's own client by hanat-c0");
  path.server_pings = true;
  EXPECT_THAT(codes(flow()), ElementsAre("server-drops-clients"));
  path.server_pings = false;
  path.snat.kind = nat::SnatKind::masquerade;
  EXPECT_THAT(codes(flow()), ElementsAre("server-drops-clients")) << "it needs no route back";
  path.result->back_by = "eth2";
  EXPECT_THAT(codes(flow()), ElementsAre("reply-lost"));
  host.interfaces[3].rp_filter = 1;
  EXPECT_THAT(codes(flow()), ElementsAre("rp-filter"));
  EXPECT_THAT(flow()[0].remedy, HasSubstr("sysctl -w net.ipv4.conf.eth2.rp_filter=2"));
  host.rp_filter_all = 2;
  EXPECT_THAT(codes(flow()), ElementsAre("reply-lost")) << "the larger value counts";
  path.culprit_known = true;
  EXPECT_THAT(flow(), IsEmpty()) << "a rule did it";
}

TEST_F(HostChecks, NameOtherReplies) {
  path.result->outcome = FlowOutcome::refused;
  EXPECT_THAT(codes(flow()), ElementsAre("clients-refused"));
  path.result->outcome = FlowOutcome::unreachable;
  path.result->error = ClientReply{};
  path.result->error->reporter = ip_of("10.0.0.254");
  EXPECT_THAT(codes(flow()), ElementsAre("icmp-unreachable"));
  EXPECT_THAT(flow()[0].what, HasSubstr("10.0.0.254"));
}

TEST(Arrange, PutsProblemsFirstAndSaysEachFactOnce) {
  const auto made = [](Severity severity, const char* code) {
    Finding finding;
    finding.severity = severity;
    finding.code = code;
    finding.what = code;
    return finding;
  };
  std::vector<Finding> all = {made(Severity::warning, "w"), made(Severity::problem, "a"), made(Severity::note, "n"),
                              made(Severity::problem, "b"), made(Severity::problem, "a")};
  arrange(all);
  EXPECT_THAT(codes(all), ElementsAre("a", "b", "w", "n"));
}

// A default route may lead elsewhere while the interface of the server's net is off.
TEST_F(HostChecks, NameTheInterfaceOfTheServerThatIsOff) {
  InterfaceFacts& link = host.interfaces[2];
  link.up = link.running = false;
  EXPECT_THAT(codes(settings()), ElementsAre("link-down"));
  EXPECT_EQ(settings()[0].what, "eth1 is down, and 10.0.0.11:8443 is in its net: nothing reaches it");
  EXPECT_EQ(settings()[0].remedy, "ip link set eth1 up");
  path.path.to_server.error = ENETUNREACH;
  EXPECT_THAT(codes(settings()), ElementsAre("link-down")) << "a route would not help";
  link.up = true;
  EXPECT_THAT(settings()[0].what, HasSubstr("eth1 has no carrier"));
  EXPECT_THAT(settings()[0].remedy, HasSubstr("ip -s link show eth1 "));
}

TEST_F(HostChecks, WarnOfAServerThatIsToTakeOverAndCannotBeReached) {
  const CheckedServer backup{"web", "backup", {ip_of("10.0.0.12"), 8443}};
  EXPECT_FALSE(check_other_server(host, backup, {}));
  const auto unrouted = check_other_server(host, backup, {.error = ENETUNREACH, .via = {}});
  ASSERT_TRUE(unrouted);
  EXPECT_EQ(unrouted->code, "no-route-to-server");
  EXPECT_EQ(unrouted->severity, Severity::warning);
  EXPECT_EQ(unrouted->what, "there is no route to backup 10.0.0.12: Network is unreachable");
  host.interfaces[2].up = false;
  EXPECT_THAT(check_other_server(host, backup, {})->what, HasSubstr("eth1 is down, and backup (10.0.0.12:8443) is in its net"));
}

TEST_F(HostChecks, ForwardingThatIsOffAltogetherMattersToServersOfOtherMachines) {
  for (InterfaceFacts& link : host.interfaces) link.forwarding = false;
  host.ip_forward = false;
  host.ip6_forward = false;
  EXPECT_THAT(codes(check_forwarding(host, {ip_of("10.0.0.11"), ip_of("10.0.0.12")})), ElementsAre("ip-forward-off"));
  EXPECT_THAT(codes(check_forwarding(host, {ip_of("10.0.0.11"), ip_of("2001:db8::7")})), ElementsAre("ip-forward-off", "ipv6-forward-off"));
  EXPECT_THAT(check_forwarding(host, {ip_of("127.0.0.1"), ip_of("10.0.0.1"), ip_of("::1")}), IsEmpty());
  host.interfaces[1].forwarding = true;
  EXPECT_THAT(check_forwarding(host, {ip_of("10.0.0.11")}), IsEmpty());
}

} // namespace
} // namespace hanat
