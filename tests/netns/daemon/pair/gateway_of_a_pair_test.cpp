// One gateway of a pair with the real kernel: the test gives it the address, and takes it. Its clients come to it in every role, so that
// what a standby does to them shows. Not here: two gateways with keepalived and conntrackd, what each role means case by case
// (unit/daemon/failover/gateway_role_test).
#include <array>
#include <csignal>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"
#include "tests/netns/lab/segments.hpp"
#include "tests/netns/lab/synth.hpp"

namespace hanat::test {
namespace {

using testing::HasSubstr;
using testing::Not;

using TakeoverParameters = std::tuple<Family, bool>; // and whether conntrack picks up what it does not know

/// The gateway's own sight.
class PairGateway {
public:
  explicit PairGateway(Family of = Family::ipv4, bool tcp_loose = true) : family(of), lab{{.tcp_loose = tcp_loose}} {}

  std::string address() const { return family == Family::ipv4 ? "203.0.113.10" : "2001:db8::10"; }
  Endpoint vip() const { return Lab::vip(443, family); }
  std::string pair(const std::string& more = "settle = \"1m\"") const {
    return fmt::format("[pair]\naddress = \"{}\"\n{}\n", address(), more);
  }
  std::string web(const std::string& extra = {}) const {
    return fast_service(
        {.listen = family == Family::ipv4 ? "203.0.113.10:443/tcp" : "[2001:db8::10]:443/tcp", .family = family, .extra = extra});
  }
  /// As keepalived does it.
  void give() { lab.must(Host::gateway, fmt::format("ip addr add {} dev to-client", on_link())); }
  void take() {
    lab.must(Host::gateway, fmt::format("ip addr del {} dev to-client", address() + (family == Family::ipv4 ? "/32" : "/128")));
  }
  static std::function<bool(const Status&)> is(const std::string& role) {
    return [role](const Status& now) { return now.daemon.pair && now.daemon.pair->role == role; };
  }
  /// Entries of clients at a server.
  std::size_t entries(Host server) {
    return lab.in(Host::gateway, [this, server] {
      return count_entries([&](const Flow& flow) {
        return flow.mapping.vip.address == vip().address && flow.mapping.server.address == Lab::address(server, family);
      });
    });
  }
  /// Entries of what a server has sent to where no client of hers has connected.
  std::size_t untranslated() {
    return lab.in(Host::gateway, [this] {
      return count_entries([&](const Flow& flow) { return flow.client == Lab::endpoint(Host::primary, 8443, family); });
    });
  }
  /// The client counts what comes from the virtual address from now on.
  void count_packets() {
    lab.must(Host::client, fmt::format("nft 'add table inet count; delete table inet count; add table inet count; add chain inet count in "
                                       "{{ type filter hook input priority 0; }}; "
                                       "add rule inet count in {} saddr {} counter'",
                                       family == Family::ipv4 ? "ip" : "ip6", address()));
  }
  std::string counted() { return lab.must(Host::client, "nft list chain inet count in | grep -o 'packets [0-9]*'"); }
  /// The entry of a connection comes into conntrack, as conntrackd puts it there.
  void bring(const TcpClient& client) {
    lab.must(Host::gateway, fmt::format("conntrack -I -p tcp -s {} -d {} --sport {} --dport 443 --state ESTABLISHED -u ASSURED,SEEN_REPLY "
                                        "-t 600 --dst-nat {} 2>&1",
                                        Lab::address(Host::client, family).text(), address(), client.local_port(),
                                        to_text(Lab::endpoint(Host::primary, 8443, family))));
  }
  /// A segment of the server in the middle of a connection that its machine knows.
  void push(const TcpClient& client) {
    const TcpNumbers numbers = tcp_numbers(client.fd());
    send_segment(lab, Host::primary,
                 {.from = Lab::endpoint(Host::primary, 8443, family),
                  .to = {.address = Lab::address(Host::client, family), .port = client.local_port()},
                  .sequence = numbers.to_receive,
                  .acknowledged = numbers.to_send,
                  .flags = TH_ACK});
  }

  const Family family;
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};

private:
  std::string on_link() const { return family == Family::ipv4 ? address() + "/32" : address() + "/128 nodad"; }
};

class Standby : public testing::TestWithParam<Family> {};
std::string standby_name(const testing::TestParamInfo<Family>& info) { return info.param == Family::ipv4 ? "IPv4" : "IPv6"; }
INSTANTIATE_TEST_SUITE_P(, Standby, testing::Values(Family::ipv4, Family::ipv6), standby_name);

TEST_P(Standby, MovesItsTargetAndCutsForgesAndRefusesNothing) {
  PairGateway gateway{GetParam()};
  Hanatd hanatd{gateway.lab, gateway.pair() + gateway.web() + "[hanatd]\nreconcile = \"1s\"\n"};
  wait_both_up(hanatd);
  const Status standby = hanatd.wait_for(PairGateway::is("standby"));
  EXPECT_FALSE(standby.daemon.pair->settled);
  EXPECT_EQ(standby.daemon.pair->address, gateway.address());
  std::vector<TcpClient> clients;
  for (int count = 0; count < 20; ++count) {
    clients.emplace_back(gateway.lab, Host::client, gateway.vip());
    ASSERT_EQ(clients.back().ask().text, "primary") << "its table is loaded";
  }
  EXPECT_EQ(gateway.entries(Host::primary), 20U);
  gateway.count_packets();
  gateway.lab.silent(Host::primary, true);
  const Status moved = hanatd.wait_target("web", "backup");
  EXPECT_EQ(gateway.counted(), "packets 0\n");
  EXPECT_EQ(connect_once(gateway.lab, Host::client, gateway.vip()).text, "backup");
  gateway.lab.silent(Host::backup, true);
  hanatd.wait_target("web", "none", milliseconds{10'000});
  gateway.count_packets();
  EXPECT_EQ(connect_once(gateway.lab, Host::client, gateway.vip(), milliseconds{500}).result, Result::timeout) << "nobody is refused";
  EXPECT_EQ(clients.front().wait_for_end(milliseconds{2'000}).result, Result::timeout);
  EXPECT_EQ(gateway.counted(), "packets 0\n");
  EXPECT_EQ(gateway.entries(Host::primary), 20U);
  const TotalsStatus totals = service(hanatd.status(), "web").totals;
  EXPECT_EQ(totals.cut, CutStatus{});
  EXPECT_EQ(totals.nudged, 0U);
  gateway.lab.silent(Host::primary, false);
  for (TcpClient& client : clients) EXPECT_EQ(client.ask().text, "primary");
  EXPECT_THAT(hanatd.ctl({"status"}).out, HasSubstr("pair: standby since"));
}

class Takeover : public testing::TestWithParam<TakeoverParameters> {};
std::string takeover_name(const testing::TestParamInfo<TakeoverParameters>& info) {
  const auto [family, tcp_loose] = info.param;
  return fmt::format("{}{}", family == Family::ipv4 ? "IPv4" : "IPv6", tcp_loose ? "Loose" : "Strict");
}
INSTANTIATE_TEST_SUITE_P(, Takeover, testing::Combine(testing::Values(Family::ipv4, Family::ipv6), testing::Bool()), takeover_name);

/// The address comes, then the connections of the other gateway do.
TEST_P(Takeover, DropsWhatItDoesNotKnowUntilItIsSettled) {
  PairGateway gateway{std::get<0>(GetParam()), std::get<1>(GetParam())};
  Hanatd hanatd{gateway.lab, gateway.pair() + gateway.web()};
  wait_both_up(hanatd);
  hanatd.wait_for(PairGateway::is("standby"));
  TcpClient known{gateway.lab, Host::client, gateway.vip()}, late{gateway.lab, Host::client, gateway.vip()};
  TcpClient lost{gateway.lab, Host::client, gateway.vip()};
  for (TcpClient* client : {&known, &late, &lost}) ASSERT_EQ(client->ask().text, "primary");
  const auto brought = [&](const TcpClient& client) { gateway.bring(client); };
  gateway.lab.must(Host::gateway, "conntrack -F 2>&1");
  brought(known);
  for (const char* role : {"standby", "settling"}) {
    if (std::string{role} == "settling") {
      gateway.give();
      hanatd.wait_for(PairGateway::is("settling"));
    }
    EXPECT_EQ(late.wait_for_end(milliseconds{50}).result, Result::timeout);
    EXPECT_EQ(late.ask(milliseconds{300}).result, Result::timeout) << role << ": it is neither reset nor picked up";
    gateway.push(lost);
    EXPECT_EQ(gateway.untranslated(), 0U) << role;
    EXPECT_EQ(gateway.entries(Host::primary), 1U) << role;
    EXPECT_EQ(known.ask().text, "primary") << role;
    EXPECT_EQ(connect_once(gateway.lab, Host::client, gateway.vip()).text, "primary") << role << ": what begins is served";
    gateway.lab.must(Host::gateway, "conntrack -F 2>&1");
    brought(known);
  }
  brought(late);
  EXPECT_EQ(late.ask(milliseconds{10'000}).result, Result::answered) << "what it has sent again arrives";
  const Output settled = hanatd.ctl({"settled"});
  EXPECT_EQ(settled.exit, 0) << settled.err;
  EXPECT_EQ(settled.out, "settled: this gateway is active\n");
  hanatd.wait_for(PairGateway::is("active"));
  gateway.lab.must(Host::gateway, "conntrack -F 2>&1");
  if (std::get<1>(GetParam()))
    EXPECT_EQ(lost.ask().text, "primary") << "picked up";
  else
    EXPECT_EQ(lost.ask(milliseconds{20'000}).result, Result::reset) << "nobody picks it up";
  EXPECT_EQ(server(service(hanatd.status(), "web"), "primary").health, "up") << "all the time";
  EXPECT_THAT(hanatd.log(), Not(HasSubstr("is down")));
}

TEST(PairRole, FollowsTheAddressAndSaysSo) {
  PairGateway gateway;
  Hanatd hanatd{gateway.lab, gateway.pair("settle = \"300ms\"") + gateway.web() + "[hanatd]\nmetrics = \"127.0.0.1:9717\"\n"};
  wait_both_up(hanatd);
  const Output early = hanatd.ctl({"settled"});
  EXPECT_EQ(early.exit, 1);
  EXPECT_THAT(early.err, HasSubstr("there is nothing to settle: this gateway is standby, 203.0.113.10 is not on this machine"));
  EXPECT_EQ(hanatd.ctl({"status", "--check"}).exit, 0) << "a healthy standby is fine";
  gateway.give();
  hanatd.wait_for(PairGateway::is("active"));
  EXPECT_THAT(hanatd.ctl({"settled"}).out, HasSubstr("it was settled already: this gateway is active since"));
  EXPECT_THAT(hanatd.ctl({"metrics"}).out, HasSubstr("hanat_pair_role{role=\"active\"} 1"));
  EXPECT_EQ(hanatd.ctl({"status", "--check"}).exit, 0);
  gateway.lab.must(Host::gateway, "ip addr add 203.0.113.10/32 dev to-primary"); // once more, elsewhere
  gateway.take();
  EXPECT_EQ(hanatd.status().daemon.pair->role, "active");
  gateway.lab.must(Host::gateway, "ip addr del 203.0.113.10/32 dev to-primary");
  hanatd.wait_for(PairGateway::is("standby"));
  const std::string log = hanatd.log();
  EXPECT_THAT(log, HasSubstr("this gateway is standby: 203.0.113.10 is not on this machine"));
  EXPECT_THAT(log, HasSubstr("this gateway becomes active: 203.0.113.10 has come"));
  EXPECT_THAT(log, HasSubstr("settled after 0.3 s, the time limit ([pair] settle): this gateway is active"));
  EXPECT_THAT(log, HasSubstr("this gateway is standby: 203.0.113.10 has left this machine"));
  EXPECT_THAT(hanatd.ctl({"history", "web"}).out, HasSubstr("this gateway becomes active"));
}

TEST(PairRole, AnAddressThatAnotherMachineHasDoesNotCount) {
  PairGateway gateway{Family::ipv6};
  gateway.lab.must(Host::client, "ip addr add 2001:db8::10/128 dev eth0 nodad");
  gateway.lab.sysctl(Host::gateway, "net.ipv6.conf.to-client.accept_dad", "1");
  Hanatd hanatd{gateway.lab, gateway.pair() + gateway.web()};
  hanatd.wait_for(PairGateway::is("standby"));
  gateway.lab.must(Host::gateway,
                   "ip addr add 2001:db8::10/128 dev to-client; for i in $(seq 100); do ip addr show dev to-client | grep -q "
                   "dadfailed && exit 0; sleep 0.05; done; exit 1");
  EXPECT_EQ(hanatd.status().daemon.pair->role, "standby");
  gateway.take();
  gateway.give();
  hanatd.wait_for(PairGateway::is("settling"));
}

TEST(PairRole, IsRightWhenMoreChangesCameThanTheKernelKeeps) {
  PairGateway gateway;
  Hanatd hanatd{gateway.lab, gateway.pair() + gateway.web()};
  hanatd.wait_for(PairGateway::is("standby"));
  hanatd.signal(SIGSTOP);
  gateway.give(); // first, so that its message is the first to be lost
  gateway.lab.must(Host::gateway,
                   "for i in $(seq 0 1999); do echo addr add 198.19.$((i / 250)).$((i % 250 + 1))/32 dev lo; done | ip -batch -; "
                   "ip addr del 203.0.113.10/32 dev to-client; ip addr add 203.0.113.10/32 dev to-primary");
  hanatd.signal(SIGCONT);
  hanatd.wait_for(PairGateway::is("settling"));
  gateway.lab.must(Host::gateway, "ip addr del 203.0.113.10/32 dev to-primary");
  hanatd.wait_for(PairGateway::is("standby"));
}

TEST(PairRole, OutlastsARestartAndAKill) {
  PairGateway gateway;
  Hanatd hanatd{gateway.lab, gateway.pair() + gateway.web()};
  wait_both_up(hanatd);
  TcpClient client{gateway.lab, Host::client, gateway.vip()};
  ASSERT_EQ(client.ask().text, "primary");
  const auto dies_and_lives = [&](bool kill) {
    kill ? hanatd.kill9() : static_cast<void>(hanatd.stop());
    hanatd.start();
  };
  for (const bool kill : {false, true}) {
    dies_and_lives(kill);
    EXPECT_EQ(hanatd.status().daemon.pair->role, "standby");
    EXPECT_EQ(client.ask().text, "primary");
  }
  hanatd.kill9();
  gateway.give(); // meanwhile
  hanatd.start();
  EXPECT_EQ(hanatd.status().daemon.pair->role, "settling");
  ASSERT_EQ(hanatd.ctl({"settled"}).exit, 0);
  for (const bool kill : {false, true}) {
    dies_and_lives(kill);
    EXPECT_EQ(hanatd.status().daemon.pair->role, "active") << "it was settled";
    EXPECT_EQ(client.ask().text, "primary");
  }
  EXPECT_EQ(service(hanatd.status(), "web").flips, 0U);
}

TEST(PairRole, ComesAndGoesWithAReload) {
  PairGateway gateway;
  Hanatd hanatd{gateway.lab, gateway.web()};
  wait_both_up(hanatd);
  EXPECT_FALSE(hanatd.status().daemon.pair);
  EXPECT_THAT(hanatd.ctl({"settled"}).err, HasSubstr("this gateway acts alone, there is no [pair] in its configuration"));
  TcpClient client{gateway.lab, Host::client, gateway.vip()};
  ASSERT_EQ(client.ask().text, "primary");
  const auto settling = [&] { return gateway.lab.must(Host::gateway, "nft list set inet hanat settling | grep -c ipv4; true"); };
  EXPECT_EQ(hanatd.reload(gateway.pair() + gateway.web()).exit, 0);
  hanatd.wait_for(PairGateway::is("standby"));
  EXPECT_EQ(settling(), "1\n");
  gateway.give();
  hanatd.wait_for(PairGateway::is("settling"));
  EXPECT_EQ(hanatd.reload("[pair]\naddress = \"203.0.113.11\"\n" + gateway.web()).exit, 0);
  hanatd.wait_for(PairGateway::is("standby"));
  EXPECT_EQ(hanatd.reload(gateway.web()).exit, 0);
  hanatd.wait_for([](const Status& now) { return !now.daemon.pair; });
  EXPECT_EQ(settling(), "0\n");
  EXPECT_EQ(client.ask().text, "primary");
  EXPECT_EQ(hanatd.reload(gateway.pair() + gateway.web()).exit, 0);
  hanatd.wait_for(PairGateway::is("active")); // it had the traffic, and has the address
}

TEST(PairRole, WarnsOfMasqueradeAndOfProgramsThatAreMissing) {
  PairGateway gateway;
  Hanatd hanatd{gateway.lab, gateway.pair() + gateway.web("snat = \"masquerade\"")};
  wait_both_up(hanatd);
  EXPECT_THAT(hanatd.log(), HasSubstr("web: primary has snat = \"masquerade\" in a pair"));
  const std::string doctor = hanatd.ctl({"doctor", "web"}).out;
  EXPECT_THAT(doctor, HasSubstr("conntrackd does not run"));
  EXPECT_THAT(doctor, HasSubstr("snat = \"ADDRESS\" in [service.web], an address that moves with 203.0.113.10"));
  const Process listener = gateway.lab.spawn(Host::gateway, {"conntrack", "-E"});
  gateway.lab.must(Host::gateway,
                   "for i in $(seq 100); do awk '$2 == 12 && $4 ~ /7$/' /proc/net/netlink | grep -q . && exit 0; sleep 0.05; "
                   "done; exit 1");
  EXPECT_THAT(hanatd.ctl({"doctor", "web"}).out, Not(HasSubstr("conntrackd does not run")));
}

TEST(PairTrackFile, SaysWhetherAServerIsReached) {
  PairGateway gateway;
  Hanatd hanatd{gateway.lab, "", {.start = false}};
  const std::string file = hanatd.state() / "fit";
  const auto says = [&](const std::string& wanted) {
    gateway.lab.must(
        Host::gateway,
        fmt::format("for i in $(seq 200); do [ \"$(cat {} 2>/dev/null)\" = {} ] && exit 0; sleep 0.02; done; exit 1", file, wanted));
  };
  const auto tracked = [&] { return gateway.pair(fmt::format("track_file = \"{}\"", file)); };
  hanatd.write_config(tracked() + gateway.web());
  hanatd.start();
  says("0");
  EXPECT_EQ(gateway.lab.must(Host::gateway, "stat -c %a " + file), "644\n");
  gateway.lab.silent(Host::primary, true);
  hanatd.wait_target("web", "backup");
  says("0");
  gateway.lab.silent(Host::backup, true);
  says("1");
  gateway.lab.silent(Host::primary, false);
  says("0");
  hanatd.kill9();
  says("0"); // the table stays, and so does this
  hanatd.start();
  EXPECT_EQ(hanatd.reload(tracked()).exit, 0);
  says("0"); // no service, nothing to reach
  EXPECT_EQ(hanatd.reload("[hanatd]\non_stop = \"remove\"\n" + tracked() + gateway.web()).exit, 0);
  hanatd.wait_target("web", "primary");
  hanatd.stop();
  says("1"); // nobody is served any more
}

} // namespace
} // namespace hanat::test
