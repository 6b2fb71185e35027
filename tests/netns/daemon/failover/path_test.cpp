// Clients that hang although their server works, as an operator meets it: a gateway that does not forward, a rule of somebody else, a
// server without a way back, a strict reverse path filter. And clients in whose way nothing is. Not here: the cause (daemon/doctor), the
// rule (unit tests of decision/path_evidence).
#include <chrono>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/load.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

struct Trap {
  const char* name;
  const char* set;  // on the gateway
  const char* mend; // likewise
  Host host = Host::gateway;
};
constexpr Trap traps[] = {
    {"ForwardingIsOff", "sysctl -qw net.ipv4.ip_forward=0", "sysctl -qw net.ipv4.ip_forward=1"},
    {"AForwardChainDrops",
     "nft 'add table ip filter; add chain ip filter FORWARD { type filter hook forward priority filter; policy drop; }'",
     "nft 'delete table ip filter'"},
    {"TheServerHasNoWayBack", "ip route del default", "ip route add default via 198.18.11.1", Host::primary},
    {"TheReversePathIsFiltered",
     "sysctl -qw net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.to-client.rp_filter=1; "
     "ip route add 198.18.1.2/32 dev to-primary; ip route flush cache",
     "ip route del 198.18.1.2/32 dev to-primary; sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.to-client.rp_filter=0"},
};

class PathTrap : public testing::TestWithParam<Trap> {};
INSTANTIATE_TEST_SUITE_P(, PathTrap, testing::ValuesIn(traps), [](const auto& instance) { return std::string{instance.param.name}; });

/// Until the target is no longer new: what clients send before counts for nothing.
void wait_settled(const Hanatd& hanatd) {
  hanatd.wait_for([](const Status& now) { return TestClock::now() - moment_of(service(now, "web").since) > milliseconds{4100}; },
                  milliseconds{10000});
}

/// A strict reverse path filter drops the client's ARP requests, too: where packets come by an asymmetric path a router stands between.
void know_gateway(Lab& lab) {
  const std::string link = lab.must(Host::gateway, "ip -br link show to-client | awk '{printf $3}'");
  lab.must(Host::client,
           fmt::format("ip neigh replace {} lladdr {} dev eth0 nud permanent", Lab::gateway_address(Host::client).text(), link));
}

bool is_unanswered(const Status& status) { return service(status, "web").path.state == "unanswered"; }

/// The server accepts, and a rule of the gateway drops what it says.
class PathOfReplies : public testing::Test {
protected:
  PathOfReplies() {
    wait_both_up(hanatd);
    wait_settled(hanatd);
    lab.must(Host::gateway, "nft 'add table inet fw; add chain inet fw forward { type filter hook forward priority 0; }; "
                            "add rule inet fw forward iifname to-primary drop comment \"strict\"'");
  }
  void mend() { lab.must(Host::gateway, "nft 'delete table inet fw'"); }
  void wait_until_over() const {
    hanatd.wait_for([](const Status& now) { return !is_unanswered(now); }, milliseconds{20'000});
  }

  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
  Hanatd hanatd{lab, fast_service()};
};

TEST_F(PathOfReplies, ThatAreDroppedShowsWithinTenSecondsAndEndsWithTheRule) {
  const auto began = TestClock::now();
  Attempt attempt;
  std::jthread hangs([&] { attempt = connect_once(lab, Host::client, Lab::vip(443), milliseconds{9000}); });
  hanatd.wait_for(is_unanswered, milliseconds{12'000});
  EXPECT_LT(TestClock::now() - began, std::chrono::seconds{10});
  EXPECT_THAT(hanatd.ctl({"status"}).out, AllOf(HasSubstr("1 client got no answer in the last minute, though primary passes its probes"),
                                                HasSubstr("inet fw forward rule 1 \"strict\"")));
  EXPECT_EQ(hanatd.ctl({"status", "--check"}).exit, 2);
  EXPECT_THAT(hanatd.ctl({"metrics"}).out, HasSubstr("hanat_path_state{service=\"web\"} 1\n"));
  hangs.join();
  EXPECT_EQ(attempt.result, Result::timeout) << attempt;
  mend();
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443), milliseconds{5000}).text, "primary");
  wait_until_over();
  EXPECT_THAT(hanatd.log(), HasSubstr("web: hanatd's own client is answered again; it lasted"));
}

/// Whoever waits for two seconds only sends two SYNs.
TEST_F(PathOfReplies, ThatAreDroppedShowsForClientsThatGiveUpEarlyToo) {
  std::jthread hang([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) connect_once(lab, Host::client, Lab::vip(443), milliseconds{2000});
  });
  hanatd.wait_for(is_unanswered, milliseconds{15'000});
  EXPECT_EQ(hanatd.ctl({"status", "--check"}).exit, 2);
  mend();
  wait_until_over();
}

TEST_P(PathTrap, ShowsWithinFiveSecondsOfTheFirstSynWhileTheServerPassesItsProbes) {
  Lab lab;
  const TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
  const Hanatd hanatd{lab, fast_service()};
  wait_both_up(hanatd);
  wait_settled(hanatd);
  know_gateway(lab);
  lab.must(GetParam().host, GetParam().set);
  const auto began = TestClock::now();
  Attempt attempt;
  std::jthread hangs([&] { attempt = connect_once(lab, Host::client, Lab::vip(443), milliseconds{6000}); });
  const Status status = hanatd.wait_for(is_unanswered, milliseconds{10000});
  const auto took = TestClock::now() - began;
  EXPECT_LT(took, std::chrono::seconds{5});
  const ServiceStatus& web = service(status, "web");
  EXPECT_EQ(web.path.unanswered_clients, 1U);
  EXPECT_EQ(web.target, "primary");
  EXPECT_EQ(server(web, "primary").health, "up");
  EXPECT_EQ(server(web, "primary").last->outcome, "pass");
  EXPECT_THAT(hanatd.ctl({"status"}).out, HasSubstr("1 client got no answer in the last minute, though primary passes its probes"));
  EXPECT_EQ(hanatd.ctl({"status", "--check"}).exit, 2);
  EXPECT_THAT(hanatd.log(), HasSubstr("web: a client (198.18.1.2) gets no answer, although primary"));
  EXPECT_THAT(hanatd.ctl({"metrics"}).out, HasSubstr("hanat_path_state{service=\"web\"} 1\n"));
  hangs.join();
  EXPECT_EQ(attempt.result, Result::timeout) << attempt;

  lab.must(GetParam().host, GetParam().mend);
  const Attempt after = connect_once(lab, Host::client, Lab::vip(443), milliseconds{5000});
  EXPECT_EQ(after.text, "primary") << after;
  hanatd.wait_for([](const Status& now) { return service(now, "web").path.state == "ok"; });
  EXPECT_THAT(hanatd.log(), HasSubstr("web: clients are answered again; it lasted"));
  EXPECT_THAT(hanatd.ctl({"history"}).out, HasSubstr("clients are answered again"));
  EXPECT_EQ(service(hanatd.status(), "web").flips, 0U) << "it is no verdict about the server";
}

/// Whoever is on a list of blocked addresses is told of, and the service is fine.
TEST(PathOfOneClient, ThatIsBlockedIsNoTroubleOfTheService) {
  Lab lab;
  const TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
  const Hanatd hanatd{lab, fast_service()};
  wait_both_up(hanatd);
  wait_settled(hanatd);
  lab.must(Host::gateway, "nft 'add table inet fw; add chain inet fw forward { type filter hook forward priority 0; }; "
                          "add rule inet fw forward ip saddr 198.18.1.2 drop comment \"guests\"'");
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443), milliseconds{8000}).result, Result::timeout);
  const char* const told = "web: a client gets no answer: dropped by inet fw forward rule 1 \"guests\"";
  hanatd.wait_for([&](const Status&) { return hanatd.log().find(told) != std::string::npos; });
  EXPECT_EQ(service(hanatd.status(), "web").path.state, "no-evidence");
  EXPECT_THAT(hanatd.log(), testing::Not(HasSubstr("although primary")));
  EXPECT_EQ(hanatd.ctl({"status", "--check"}).exit, 0);
  const Output doctor = hanatd.ctl({"doctor"});
  EXPECT_EQ(doctor.exit, 0) << doctor.out;
  EXPECT_THAT(doctor.out,
              AllOf(HasSubstr("clients that were stopped in the last hour"), HasSubstr("!  web: dropped by inet fw forward rule 1"),
                    HasSubstr("client 198.18.1.2 on interface"), HasSubstr("the whole way works")));
}

class PathInPeace : public testing::Test {
protected:
  /// No client of the service ever counted as one without an answer.
  static void expect_none(const Hanatd& hanatd) {
    const Status status = hanatd.status();
    EXPECT_NE(service(status, "web").path.state, "unanswered");
    EXPECT_EQ(service(status, "web").totals.clients_unanswered, 0U);
    EXPECT_THAT(hanatd.log(), testing::Not(HasSubstr("gets no answer")));
  }
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
};

TEST_F(PathInPeace, AThousandConnectsFromRandomAndFixedPortsShowNothing) {
  const Hanatd hanatd{lab, fast_service()};
  wait_both_up(hanatd);
  const LoadResult random = Load{lab, Host::client, Lab::vip(443), {.per_second = 500, .duration = milliseconds{2000}}}.finish();
  EXPECT_EQ(random.failed(), 0U) << random;
  lab.sysctl(Host::client, "net.ipv4.tcp_max_tw_buckets", "0"); // a port is free at once, whoever ended its connection
  std::size_t answered = 0;
  for (std::uint16_t number = 0; number < 1000; ++number) { // ten ports, each a hundred times: within the time-out of its first SYN
    const auto port = static_cast<std::uint16_t>(2'000 + number % 10); // below those of the random ones, which may still be in TIME_WAIT
    answered += connect_once(lab, Host::client, Lab::vip(443), milliseconds{3000}, port).result == Result::answered ? 1U : 0U;
  }
  EXPECT_EQ(answered, 1000U);
  std::this_thread::sleep_for(milliseconds{1500}); // a connection would count a second after its second SYN
  expect_none(hanatd);
}

TEST_F(PathInPeace, FlipsUnderLoadShowNothing) {
  const Hanatd hanatd{lab, fast_service()};
  wait_both_up(hanatd);
  Load load{lab, Host::client, Lab::vip(443), {.per_second = 300, .duration = milliseconds{60000}}};
  for (int round = 0; round < 3; ++round) {
    primary.kill();
    hanatd.wait_target("web", "backup");
    primary.start();
    hanatd.wait_target("web", "primary");
    lab.silent(Host::primary, true);
    hanatd.wait_target("web", "backup");
    lab.silent(Host::primary, false);
    hanatd.wait_target("web", "primary");
  }
  std::this_thread::sleep_for(milliseconds{1500});
  load.stop();
  expect_none(hanatd);
}

TEST_F(PathInPeace, OneLostSynShowsNothing) {
  const Hanatd hanatd{lab, fast_service()};
  wait_both_up(hanatd);
  wait_settled(hanatd);
  lab.sysctl(Host::gateway, "net.ipv4.ip_forward", "0");
  Attempt attempt;
  std::jthread client([&] { attempt = connect_once(lab, Host::client, Lab::vip(443), milliseconds{5000}); });
  std::this_thread::sleep_for(milliseconds{500}); // between its first SYN and the second
  lab.sysctl(Host::gateway, "net.ipv4.ip_forward", "1");
  client.join();
  EXPECT_EQ(attempt.text, "primary") << attempt;
  std::this_thread::sleep_for(milliseconds{1500});
  expect_none(hanatd);
}

TEST_F(PathInPeace, OffMeansThatNothingIsSaid) {
  const Hanatd hanatd{lab, "[hanatd]\npath_check = \"off\"\n" + fast_service()};
  wait_both_up(hanatd);
  wait_settled(hanatd);
  lab.sysctl(Host::gateway, "net.ipv4.ip_forward", "0");
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443), milliseconds{4500}).result, Result::timeout);
  expect_none(hanatd);
}

} // namespace
} // namespace hanat::test
