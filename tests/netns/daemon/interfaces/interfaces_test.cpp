// Services that listen on interfaces: addresses that come are served, those that go are cut, under load; DHCP with a real server and
// client. Not here: which addresses count and what overlaps (unit: interfaces).
#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/load.hpp"
#include "tests/netns/lab/peers.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::AnyOf;
using testing::ElementsAre;
using testing::Eq;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

Endpoint at(const char* address, std::uint16_t port = 443) { return {Address::parse(address).value(), port}; }

class Interfaces : public testing::Test {
protected:
  /// "web" listens on wan0; "fixed" on an address, and nothing may happen to it.
  static std::string config(const std::string& listen = "\"wan0:443/tcp\"", const std::string& more = {}) {
    return fmt::format(
        "[defaults]\nprobe = {{ type = \"tcp\", port = 8443, interval = \"50ms\", fast_interval = \"10ms\", timeout = \"200ms\" }}\n"
        "down = {{ fails = 3, within = \"2s\" }}\nup = {{ passes = 2, stable_for = \"100ms\" }}\n"
        "[service.web]\nlisten = [{}]\nprimary = [\"{}\", \"{}\"]\nbackup = [\"{}\", \"{}\"]\n"
        "[service.fixed]\nlisten = \"203.0.113.10:443/tcp\"\nprimary = \"{}\"\nbackup = \"{}\"\n{}",
        listen, text_of(Host::primary), text_of(Host::primary, Family::ipv6), text_of(Host::backup), text_of(Host::backup, Family::ipv6),
        text_of(Host::primary), text_of(Host::backup), more);
  }
  static std::string text_of(Host host, Family family = Family::ipv4) { return to_text(Lab::endpoint(host, 8443, family)); }
  void ip(const std::string& command) { lab.must(Host::gateway, "ip " + command); }
  static ListenStatus listener(const Status& status, std::size_t entry = 0) { return service(status, "web").interfaces.at(entry); }
  static void wait_addresses(const Hanatd& hanatd, const std::vector<std::string>& addresses) {
    hanatd.wait_for([&](const Status& now) { return listener(now).addresses == addresses; });
  }
  /// From now until a client is served there.
  std::chrono::nanoseconds time_until_served(const Endpoint& where) {
    const auto begin = TestClock::now();
    while (TestClock::now() - begin < 3s)
      if (connect_once(lab, Host::client, where, 20ms).result == Result::answered) break;
    return TestClock::now() - begin;
  }
  std::string entries(const std::string& address) {
    return lab.run(Host::gateway, "conntrack -L --orig-dst " + address + " 2>/dev/null").out;
  }

  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
};

TEST_F(Interfaces, ANewAddressIsServedAtOnceAndConnectionsToTheOldOneAreCut) {
  ip("link add wan0 type veth peer name peer-wan0 && ip link set wan0 up && ip address add 203.0.113.50/32 dev wan0 && ip address add "
     "203.0.113.51/32 dev "
     "wan0");
  Hanatd hanatd{lab, config()};
  wait_both_up(hanatd);
  EXPECT_THAT(listener(hanatd.status()).addresses, ElementsAre("203.0.113.50", "203.0.113.51"));
  Load unmoved{lab, Host::client, Lab::vip(443), {.per_second = 200, .duration = 20s}};
  Load stays{lab, Host::client, at("203.0.113.51"), {.per_second = 200, .duration = 20s}};
  TcpClient old{lab, Host::client, at("203.0.113.50")}, other{lab, Host::client, at("203.0.113.51")};
  EXPECT_EQ(old.ask().text, "primary");
  ip("address delete 203.0.113.50/32 dev wan0 && ip address add 203.0.113.60/32 dev wan0");
  EXPECT_LT(time_until_served(at("203.0.113.60")), 100ms);
  EXPECT_EQ(old.ask().text, "primary") << "the address may come back";
  EXPECT_THAT(hanatd.ctl({"status", "web"}).out,
              AllOf(HasSubstr("203.0.113.50 gone, held for "), HasSubstr("203.0.113.50 is gone from wan0")));
  EXPECT_THAT(hanatd.ctl({"history", "web"}).out, HasSubstr("203.0.113.50 is gone from wan0, and held for 2 s"));
  EXPECT_THAT(old.wait_for_end(4s).result, AnyOf(Eq(Result::reset), Eq(Result::closed)));
  wait_addresses(hanatd, {"203.0.113.51", "203.0.113.60"});
  EXPECT_EQ(other.ask().text, "primary");
  EXPECT_THAT(entries("203.0.113.50"), IsEmpty());
  EXPECT_EQ(stays.stop().failed(), 0U);
  EXPECT_EQ(unmoved.stop().failed(), 0U);
  EXPECT_EQ(service(hanatd.status(), "web").flips, 0U);
  EXPECT_THAT(hanatd.ctl({"history", "web"}).out, HasSubstr("wan0 has 203.0.113.60 now: it listens there"));
  EXPECT_THAT(hanatd.log(), HasSubstr("wan0 has 203.0.113.50 no more: connections to it are cut, and it listens on 203.0.113.51"));
  EXPECT_THAT(hanatd.ctl({"metrics"}).out, HasSubstr("hanat_listen_addresses{service=\"web\",interface=\"wan0\"} 2"));
  EXPECT_THAT(hanatd.ctl({"status", "web"}).out, HasSubstr("wan0:443/tcp (203.0.113.51, 203.0.113.60)"));
  EXPECT_THAT(lab.must(Host::gateway, "nft list set inet hanat vips4"), Not(HasSubstr("203.0.113.50")));
}

TEST_F(Interfaces, AnAddressThatIsAwayForAMomentCutsNothing) {
  ip("link add wan0 type veth peer name peer-wan0 && ip link set wan0 up && ip address add 203.0.113.50/32 dev wan0");
  Hanatd hanatd{lab, config("\"ipv4@wan0:443/tcp\"")};
  wait_both_up(hanatd);
  Load load{lab, Host::client, at("203.0.113.50"), {.per_second = 200, .duration = 20s}};
  TcpClient standing{lab, Host::client, at("203.0.113.50")};
  ip("address delete 203.0.113.50/32 dev wan0 && sleep 0.2 && ip address add 203.0.113.50/32 dev wan0 && sleep 0.1");
  ip("link delete wan0 && sleep 0.2 && ip link add wan0 type veth peer name peer-wan0 && ip link set wan0 up && ip address add "
     "203.0.113.50/32 dev wan0");
  EXPECT_EQ(standing.wait_for_end(2500ms).result, Result::timeout);
  EXPECT_EQ(standing.ask().text, "primary");
  EXPECT_EQ(load.stop().failed(), 0U);
  EXPECT_THAT(hanatd.log(), Not(HasSubstr("wan0 has")));
  EXPECT_THAT(hanatd.log(), HasSubstr("203.0.113.50 is back on wan0: connections to it go on"));
}

TEST_F(Interfaces, WithoutAnAddressItRunsAndServesAsSoonAsThereIsOne) {
  Hanatd hanatd{lab, config("\"ipv4@ppp0:443/tcp\"")};
  hanatd.wait_target("fixed", "primary");
  hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "primary").health == "up"; });
  EXPECT_THAT(listener(hanatd.status()).problems, ElementsAre("there is no interface ppp0"));
  EXPECT_THAT(hanatd.ctl({"status"}).out, AllOf(HasSubstr("it listens nowhere: there is no interface ppp0"),
                                                HasSubstr("1 problem; 1 of 2 services at their primary, 1 listens nowhere")));
  EXPECT_EQ(hanatd.ctl({"status", "--check"}).exit, 2);
  EXPECT_THAT(hanatd.log(), HasSubstr("there is no interface ppp0: web listens there as soon as it has one"));
  EXPECT_THAT(hanatd.ctl({"doctor", "web"}).out, HasSubstr("[interface-without-address]"));
  EXPECT_EQ(hanatd.ctl({"why", "web"}).exit, 0);
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443)).text, "primary");
  ip("link add ppp7 type veth peer name peer-ppp7 && ip address add 203.0.113.50/32 dev ppp7 && ip link set ppp7 up && ip link set ppp7 "
     "name ppp0");
  EXPECT_LT(time_until_served(at("203.0.113.50")), 100ms);
  EXPECT_EQ(hanatd.ctl({"status", "--check"}).exit, 0);
  EXPECT_EQ(hanatd.ctl({"force-backup", "web"}).exit, 0);
  EXPECT_EQ(connect_once(lab, Host::client, at("203.0.113.50")).text, "backup");
  TcpClient standing{lab, Host::client, at("203.0.113.50")};
  hanatd.restart();
  hanatd.wait_target("web", "backup");
  EXPECT_EQ(standing.ask().text, "backup");
  ip("link delete ppp0");
  wait_addresses(hanatd, {});
  EXPECT_EQ(service(hanatd.status(), "web").target, "backup");
  ip("link add ppp0 type veth peer name peer-ppp0 && ip link set ppp0 up && ip address add 203.0.113.60/32 dev ppp0"); // the provider has
                                                                                                                       // another one
  EXPECT_LT(time_until_served(at("203.0.113.60")), 100ms);
  EXPECT_EQ(connect_once(lab, Host::client, at("203.0.113.60")).text, "backup") << "what an operator wants stays";
  EXPECT_EQ(service(hanatd.status(), "web").flips, 0U);
}

TEST_F(Interfaces, ANewPrefixMovesNobodyOfTheOtherFamily) {
  ip("link add wan0 type veth peer name peer-wan0 && ip link set wan0 up && ip address add 203.0.113.50/32 dev wan0 && "
     "ip -6 address add 2001:db8:1::5/64 dev wan0 nodad");
  Hanatd hanatd{lab, config()};
  wait_both_up(hanatd);
  EXPECT_THAT(listener(hanatd.status()).addresses, ElementsAre("203.0.113.50", "2001:db8:1::5"));
  Load load{lab, Host::client, at("203.0.113.50"), {.per_second = 200, .duration = 20s}};
  TcpClient ipv4{lab, Host::client, at("203.0.113.50")}, ipv6{lab, Host::client, at("2001:db8:1::5")};
  // A router takes the old prefix back: nobody is to begin anything there, and what stands may end.
  ip("-6 address change 2001:db8:1::5/64 dev wan0 preferred_lft 0 && ip -6 address add 2001:db8:2::5/64 dev wan0 nodad");
  EXPECT_LT(time_until_served(at("2001:db8:2::5")), 100ms);
  EXPECT_EQ(ipv6.ask().text, "primary");
  ip("-6 address delete 2001:db8:1::5/64 dev wan0");
  EXPECT_THAT(ipv6.wait_for_end(4s).result, AnyOf(Eq(Result::reset), Eq(Result::closed)));
  wait_addresses(hanatd, {"203.0.113.50", "2001:db8:2::5"});
  EXPECT_EQ(ipv4.ask().text, "primary");
  EXPECT_EQ(load.stop().failed(), 0U);
}

TEST_F(Interfaces, WhatAnotherServiceListensOnIsToldAndTheTableStaysRight) {
  ip("link add wan0 type veth peer name peer-wan0 && ip link set wan0 up && ip address add 203.0.113.50/32 dev wan0");
  const std::string mail = fmt::format("[service.mail]\nlisten = \"203.0.113.60:443/tcp\"\nprimary = \"{}\"\n", text_of(Host::backup));
  Hanatd hanatd{lab, config("\"ipv4@wan0:443/tcp\"", mail)};
  wait_both_up(hanatd);
  hanatd.wait_target("mail", "primary");
  ip("address add 203.0.113.60/32 dev wan0");
  hanatd.wait_for([](const Status& now) { return !listener(now).problems.empty(); });
  const std::string told = "203.0.113.60:443/tcp is a listener of service mail";
  EXPECT_THAT(hanatd.ctl({"status"}).out, HasSubstr(told));
  EXPECT_THAT(hanatd.log(), HasSubstr("web: it does not listen on all of ipv4@wan0:443/tcp: " + told));
  EXPECT_EQ(connect_once(lab, Host::client, at("203.0.113.60")).text, "backup");
  EXPECT_EQ(connect_once(lab, Host::client, at("203.0.113.50")).text, "primary");
  EXPECT_THAT(hanatd.ctl({"plan"}).out, Not(HasSubstr("web"))) << "the same configuration changes nothing";
  EXPECT_EQ(hanatd.reload(config("\"ipv4@wan0:443/tcp\"")).exit, 0);
  EXPECT_LT(time_until_served(at("203.0.113.60")), 1s);
  EXPECT_THAT(hanatd.ctl({"status"}).out, Not(HasSubstr(told)));
}

/// The provider on the client's machine: dnsmasq gives leases on a link of their own, to udhcpc on the gateway.
class Dhcp : public Interfaces {
protected:
  Dhcp() {
    std::string pattern = (std::filesystem::temp_directory_path() / "hanat-dhcp-XXXXXX").string();
    directory = mkdtemp(pattern.data());
    lab.must(Host::gateway,
             fmt::format("ip link add wan0 type veth peer name isp0 netns {} && ip link set wan0 address 02:00:00:00:00:07 up",
                         lab.place(Host::client).path()));
    lab.must(Host::client, "ip link set isp0 up && ip address add 198.51.100.1/24 dev isp0");
  }
  ~Dhcp() override {
    client.reset();
    provider.reset();
    std::filesystem::remove_all(directory);
  }
  void lease(const char* address) {
    std::ofstream{directory / "hosts", std::ios::trunc} << "02:00:00:00:00:07," << address << '\n';
    if (provider) provider->signal(SIGHUP);
  }
  void start() {
    provider.emplace(lab.spawn(Host::client, {"dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--port=0",
                                              "--interface=isp0", "--bind-interfaces", "--pid-file=", "--user=root", "--no-ping",
                                              "--dhcp-authoritative", "--dhcp-option=3", "--dhcp-option=6",
                                              "--dhcp-range=198.51.100.0,static,2m", "--dhcp-leasefile=" + (directory / "leases").string(),
                                              "--dhcp-hostsfile=" + (directory / "hosts").string()}));
    const std::filesystem::path script = directory / "script";
    std::ofstream{script} << "#!/bin/sh\ncase \"$1\" in\ndeconfig) ip -4 address flush dev $interface ;;\n"
                             "bound|renew) ip -4 address flush dev $interface; ip address add $ip/24 dev $interface ;;\nesac\n";
    std::filesystem::permissions(script, std::filesystem::perms::owner_all);
    client.emplace(lab.spawn(Host::gateway, {"udhcpc", "-f", "-i", "wan0", "-t", "20", "-T", "1", "-A", "1", "-s", script.string()}));
  }

  std::filesystem::path directory;
  std::optional<Process> provider, client;
};

TEST_F(Dhcp, ALeaseOfAnotherAddressIsFollowedUnderLoad) {
  Hanatd hanatd{lab, config("\"ipv4@wan0:443/tcp\"")};
  lease("198.51.100.50");
  start();
  wait_addresses(hanatd, {"198.51.100.50"});
  wait_both_up(hanatd);
  Load unmoved{lab, Host::client, Lab::vip(443), {.per_second = 200, .duration = 20s}};
  TcpClient old{lab, Host::client, at("198.51.100.50")};
  client->signal(SIGUSR1); // a renewal: its script takes the address away and sets it anew
  EXPECT_EQ(old.wait_for_end(500ms).result, Result::timeout);
  EXPECT_EQ(old.ask().text, "primary");
  lease("198.51.100.60");
  client->signal(SIGUSR1);
  lab.must(Host::gateway,
           "for i in $(seq 1000); do ip -4 -o address show dev wan0 | grep -q 198.51.100.60 && exit 0; sleep 0.01; done; exit 1");
  EXPECT_LT(time_until_served(at("198.51.100.60")), 100ms);
  wait_addresses(hanatd, {"198.51.100.60"});
  EXPECT_NE(old.ask(300ms).result, Result::answered);
  EXPECT_THAT(entries("198.51.100.50"), IsEmpty());
  EXPECT_EQ(unmoved.stop().failed(), 0U);
}

} // namespace
} // namespace hanat::test
