// The laboratory itself: a test that trusts it must be able to.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include <gtest/gtest.h>

#include "tests/netns/lab/load.hpp"
#include "tests/netns/lab/peers.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;

/// A DNAT by hand, where the daemon's would be.
void translate(Lab& lab, const std::string& server4, const std::string& server6) {
  const std::string rules = "add table inet by-hand\n"
                            "add chain inet by-hand pre { type nat hook prerouting priority -105; policy accept; }\n"
                            "flush chain inet by-hand pre\n"
                            "add rule inet by-hand pre ip daddr 203.0.113.10 dnat ip to " +
                            server4 + "\nadd rule inet by-hand pre ip6 daddr 2001:db8::10 dnat ip6 to " + server6 + "\n";
  const Output output = lab.run(Host::gateway, {"nft", "-f", "-"}, rules);
  ASSERT_EQ(output.exit, 0) << output.err;
}
void translate(Lab& lab, Host server) { translate(lab, Lab::address(server).text(), Lab::address(server, Family::ipv6).text()); }

std::string namespaces_with_names() {
  const Output output = collect({"ip", "netns", "list"}, 5s);
  return output.out;
}

bool process_lives(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string number, name, state;
  return (file >> number >> name >> state) && state != "Z";
}

class LabTest : public testing::TestWithParam<Family> {};
INSTANTIATE_TEST_SUITE_P(Families, LabTest, testing::Values(Family::ipv4, Family::ipv6),
                         [](const auto& family) { return family.param == Family::ipv4 ? "IPv4" : "IPv6"; });

TEST(Lab, IsMadeAndRemovedInAMoment) {
  const auto start = TestClock::now();
  { const Lab lab; }
  const auto took = TestClock::now() - start;
  RecordProperty("ms", static_cast<int>(took / 1ms));
  EXPECT_LT(took, 1s); // usually below 150 ms; the machine may be busy
}

TEST_P(LabTest, EveryHostReachesTheGatewayAtOnce) {
  Lab lab({.bystander = true, .backup2 = true});
  for (const Host host : {Host::client, Host::bystander, Host::primary, Host::backup, Host::backup2}) {
    const auto output = lab.run(host, "ip -o address show dev eth0");
    EXPECT_EQ(output.out.find("tentative"), std::string::npos) << output.out;
    const Attempt attempt = connect_once(lab, host, {Lab::gateway_address(host, GetParam()), 9}, 500ms);
    EXPECT_EQ(attempt.result, Result::refused) << to_text(host) << ": " << attempt; // refused by the gateway itself: it is there
  }
}

TEST_P(LabTest, ARoutedVipIsServedThroughTheGateway) {
  Lab lab;
  TcpServer primary(lab, Host::primary, 7000, "primary");
  TcpServer backup(lab, Host::backup, 7000, "backup");
  translate(lab, Host::primary);
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(7000, GetParam())).text, "primary");
  translate(lab, Host::backup);
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(7000, GetParam())).text, "backup");
  EXPECT_EQ(primary.accepted(), 1U);
}

TEST_P(LabTest, ALocalVipIsTheGatewaysOwnAddress) {
  Lab lab({.vip_local = true});
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(7000, GetParam()), 500ms).result, Result::refused);
  const TcpServer primary(lab, Host::primary, 7000, "primary");
  translate(lab, Host::primary);
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(7000, GetParam())).text, "primary");
}

TEST_P(LabTest, AServerWithoutReturnRouteCannotAnswerClients) {
  Lab lab({.return_routes = false});
  const TcpServer primary(lab, Host::primary, 7000, "primary");
  translate(lab, Host::primary);
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(7000, GetParam()), 300ms).result, Result::timeout);
  EXPECT_EQ(connect_once(lab, Host::gateway, Lab::endpoint(Host::primary, 7000, GetParam())).text, "primary");
}

TEST_P(LabTest, AKilledServerRefusesAndEndsItsConnections) {
  Lab lab;
  TcpServer server(lab, Host::primary, 7000, "primary");
  const Endpoint to = Lab::endpoint(Host::primary, 7000, GetParam());
  TcpClient client(lab, Host::client, to);
  EXPECT_EQ(client.ask().text, "primary");
  EXPECT_EQ(client.ask().text, "primary");
  server.kill();
  EXPECT_EQ(client.wait_for_end(500ms).result, Result::closed);
  EXPECT_NE(client.ask(500ms).result, Result::answered);
  EXPECT_EQ(connect_once(lab, Host::client, to).result, Result::refused);
  server.start();
  EXPECT_EQ(connect_once(lab, Host::client, to).text, "primary");
}

TEST_P(LabTest, AHangingServerAcceptsAndSaysNothing) {
  Lab lab;
  TcpServer server(lab, Host::primary, 7000, "primary");
  server.hang(true);
  TcpClient client(lab, Host::client, Lab::endpoint(Host::primary, 7000, GetParam()));
  EXPECT_EQ(client.ask(100ms).result, Result::timeout);
}

TEST_P(LabTest, ASilentServerTimesOutAndComesBack) {
  Lab lab;
  const TcpServer server(lab, Host::primary, 7000, "primary");
  const Endpoint to = Lab::endpoint(Host::primary, 7000, GetParam());
  lab.silent(Host::primary, true);
  EXPECT_EQ(connect_once(lab, Host::client, to, 200ms).result, Result::timeout);
  lab.silent(Host::primary, false);
  EXPECT_EQ(connect_once(lab, Host::client, to).text, "primary");
}

TEST_P(LabTest, ALinkThatComesBackHasItsAddressesAndRoutes) {
  Lab lab;
  const TcpServer server(lab, Host::primary, 7000, "primary");
  const Endpoint to = Lab::endpoint(Host::primary, 7000, GetParam());
  lab.link(Host::primary, false);
  EXPECT_NE(lab.must(Host::gateway, "ip -o link show to-primary").find("NO-CARRIER"), std::string::npos);
  EXPECT_NE(connect_once(lab, Host::client, to, 200ms).result, Result::answered);
  lab.link(Host::primary, true);
  EXPECT_EQ(connect_once(lab, Host::client, to).text, "primary");
}

TEST_P(LabTest, UdpIsAnsweredAndRefused) {
  Lab lab;
  UdpServer server(lab, Host::primary, 7000, "primary");
  UdpClient client(lab, Host::client, Lab::endpoint(Host::primary, 7000, GetParam()), 5555);
  EXPECT_EQ(client.ask().text, "primary");
  server.kill();
  EXPECT_EQ(client.ask().result, Result::refused);
  server.start();
  EXPECT_EQ(client.ask().text, "primary");
}

TEST_P(LabTest, AUdpStreamKnowsWhoAnsweredEachDatagram) {
  Lab lab;
  const UdpServer primary(lab, Host::primary, 7000, "primary");
  const UdpServer backup(lab, Host::backup, 7000, "backup");
  translate(lab, Host::primary);
  UdpStream stream(lab, Host::client, Lab::vip(7000, GetParam()), 2ms, 5555);
  std::this_thread::sleep_for(50ms);
  translate(lab, Host::backup);
  lab.must(Host::gateway, "conntrack -D -p udp --orig-port-dst 7000 -f " + std::string{GetParam() == Family::ipv4 ? "ipv4" : "ipv6"});
  std::this_thread::sleep_for(50ms);
  const auto sent = stream.finish();
  ASSERT_GT(sent.size(), 20U);
  EXPECT_EQ(sent.front().by, "primary");
  EXPECT_EQ(sent.back().by, "backup");
}

TEST_P(LabTest, HttpAnswersWithTheStatusItWasGiven) {
  Lab lab;
  HttpServer server(lab, Host::primary, 7080, "primary");
  const Endpoint to = Lab::endpoint(Host::primary, 7080, GetParam());
  EXPECT_EQ(http_once(lab, Host::client, to).text, "primary");
  server.status(503);
  EXPECT_EQ(http_once(lab, Host::client, to).text, "HTTP/1.1 503 Switched");
  EXPECT_EQ(server.requests(), 2U);
}

TEST_P(LabTest, ALoadAccountsForEveryConnection) {
  Lab lab;
  TcpServer server(lab, Host::primary, 7000, "primary");
  Load load(lab, Host::client, Lab::endpoint(Host::primary, 7000, GetParam()), {.per_second = 1000, .duration = 600ms});
  std::this_thread::sleep_for(300ms);
  server.kill();
  const LoadResult result = load.finish();
  EXPECT_EQ(result.connects.size(), 600U);
  EXPECT_GT(result.answered()["primary"], 200U) << result;
  EXPECT_GT(result.count(Result::refused), 200U) << result;
  EXPECT_GT(result.slowest_connect(), 0ns);
}

TEST(Lab, ARunawayCommandIsKilledAtItsDeadline) {
  Lab lab;
  const Output output = lab.run(Host::client, "echo started; sleep 30", 200ms);
  EXPECT_EQ(output.out, "started\n");
  EXPECT_EQ(output.exit, 128 + SIGKILL);
}

TEST(Lab, TcpLooseIsSetOnTheGateway) {
  Lab lab({.tcp_loose = false});
  EXPECT_EQ(lab.sysctl(Host::gateway, "net.netfilter.nf_conntrack_tcp_loose"), "0");
}

TEST(Lab, ProcessesEndWithTheLab) {
  pid_t pid = -1;
  {
    Lab lab;
    const Process process = lab.spawn(Host::client, {"sleep", "300"});
    pid = process.pid();
    EXPECT_TRUE(process_lives(pid));
  }
  EXPECT_FALSE(process_lives(pid));
}

/// The victim of the next test, when that starts this program once more.
TEST(LabVictim, HoldsALabWhenAskedTo) {
  const char* file = std::getenv("HANAT_LAB_VICTIM");
  if (file == nullptr) return;
  Lab lab;
  const Process process = lab.spawn(Host::client, {"sleep", "300"});
  std::ofstream(file) << process.pid() << std::endl;
  std::this_thread::sleep_for(300s);
}

TEST(Lab, AKilledTestLeavesNoNamespaceAndNoProcess) {
  const std::string before = namespaces_with_names();
  const std::string file = testing::TempDir() + "hanat-lab-victim-" + std::to_string(getpid());
  Process victim({"env", "-u", "GTEST_TOTAL_SHARDS", "-u", "GTEST_SHARD_INDEX", "HANAT_LAB_VICTIM=" + file,
                  std::filesystem::read_symlink("/proc/self/exe"), "--gtest_filter=LabVictim.*"},
                 -1, -1);
  pid_t sleeper = -1;
  for (int i = 0; i < 2000 && !(std::ifstream(file) >> sleeper); ++i) std::this_thread::sleep_for(5ms);
  ASSERT_GT(sleeper, 0) << "the victim made no Lab";
  victim.signal(SIGKILL);
  victim.wait(5s);
  for (int i = 0; i < 400 && process_lives(sleeper); ++i) std::this_thread::sleep_for(5ms);
  EXPECT_FALSE(process_lives(sleeper));
  EXPECT_EQ(namespaces_with_names(), before);
  std::remove(file.c_str());
}

} // namespace
} // namespace hanat::test
