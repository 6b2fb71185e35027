// What becomes of flows that stand when the target changes, seen from their clients; and of flows that are none of hanat's business.
#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/crowd.hpp"
#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

using Parameters = std::tuple<bool, bool, Family>; // tcp_loose, VIP local, family

class OldClients : public testing::TestWithParam<Parameters> {};

std::string name_of(const testing::TestParamInfo<Parameters>& info) {
  const auto [loose, local, family] = info.param;
  return fmt::format("Loose{}{}{}", loose ? "On" : "Off", local ? "VipLocal" : "VipRouted", family == Family::ipv4 ? "IPv4" : "IPv6");
}
INSTANTIATE_TEST_SUITE_P(, OldClients, testing::Combine(testing::Bool(), testing::Bool(), testing::Values(Family::ipv4, Family::ipv6)),
                         name_of);

bool cut_is_done(const Status& status) {
  const auto& flip = service(status, "web").last_flip;
  return flip && flip->cut_ms;
}

TEST_P(OldClients, AreResetAtTheirNextPacketBeforeAndAfterTheCut) {
  const auto [loose, local, family] = GetParam();
  Lab lab{{.vip_local = local, .tcp_loose = loose}};
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  const Endpoint vip = Lab::vip(443, family);
  Hanatd hanatd{lab,
                fast_service({.listen = to_text(vip) + "/tcp", .family = family, .extra = "nudge = false"})}; // else they know it before
  hanatd.wait_target("web", "primary");
  std::vector<TcpClient> clients;
  for (int count = 0; count < 3; ++count) {
    clients.emplace_back(lab, Host::client, vip);
    ASSERT_EQ(clients.back().ask().text, "primary");
  }
  lab.silent(Host::primary, true); // the machine hangs: nobody resets anybody but hanat
  hanatd.wait_target("web", "backup");
  const auto expect_reset = [](TcpClient& client, const char* when) {
    const Attempt attempt = client.ask();
    EXPECT_EQ(attempt.result, Result::reset) << when << ": " << attempt;
    EXPECT_LT(attempt.latency, milliseconds{150}) << when << ": no retransmission was needed";
  };
  expect_reset(clients[0], "before the cut");
  const Status status = hanatd.wait_for(cut_is_done);
  EXPECT_GE(service(status, "web").last_flip->cut.tcp, 2U) << "the two that kept still";
  expect_reset(clients[1], "after the cut");
  EXPECT_EQ(connect_once(lab, Host::client, vip).text, "backup");
}

TEST(Sessions, AUdpSenderWithAFixedPortIsOnTheNewTargetWithin50Milliseconds) {
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    Lab lab;
    TcpServer primary_probe{lab, Host::primary, 53, "primary"};
    TcpServer backup_probe{lab, Host::backup, 53, "backup"};
    UdpServer primary{lab, Host::primary, 53, "primary"};
    UdpServer backup{lab, Host::backup, 53, "backup"};
    const Endpoint vip = Lab::vip(53, family);
    Hanatd hanatd{lab, fast_service({.listen = to_text(vip) + "/udp", .port = 53, .family = family, .probe = "type = \"tcp\", port = 53"})};
    hanatd.wait_target("web", "primary");
    UdpStream stream{lab, Host::client, vip, milliseconds{1}, 40000};
    std::vector<TestClock::time_point> verdicts;
    for (int round = 0; round < 3; ++round) { // the median: one pause of a busy machine is longer than what is measured
      std::this_thread::sleep_for(milliseconds{100});
      lab.silent(Host::primary, true);
      verdicts.push_back(moment_of(service(hanatd.wait_target("web", "backup"), "web").last_flip->at));
      std::this_thread::sleep_for(milliseconds{200});
      lab.silent(Host::primary, false);
      hanatd.wait_target("web", "primary");
    }
    const auto datagrams = stream.finish();
    std::vector<milliseconds> took;
    for (const TestClock::time_point verdict : verdicts) {
      const auto first = std::ranges::find_if(datagrams, [&](const auto& sent) { return sent.sent_at >= verdict && sent.by == "backup"; });
      ASSERT_NE(first, datagrams.end()) << "the flow stayed on the dead server";
      took.push_back(std::chrono::duration_cast<milliseconds>(first->sent_at - verdict));
    }
    std::ranges::sort(took);
    EXPECT_LT(took[1], milliseconds{50});
    fmt::print("verdict to the first datagram on the new target: {}, {} and {} ms\n", took[0].count(), took[1].count(), took[2].count());
  }
}

TEST(Sessions, AThousandUdpSendersAreOnTheNewTargetAtOnce) {
  constexpr std::size_t number = 1000;
  Lab lab;
  TcpServer primary_probe{lab, Host::primary, 53, "primary"};
  TcpServer backup_probe{lab, Host::backup, 53, "backup"};
  UdpServer primary{lab, Host::primary, 53, "primary"};
  UdpServer backup{lab, Host::backup, 53, "backup"};
  Hanatd hanatd{lab, fast_service({.listen = "203.0.113.10:53/udp", .port = 53, .probe = "type = \"tcp\", port = 53"})};
  hanatd.wait_target("web", "primary");
  UdpCrowd crowd{lab, Host::client, Lab::vip(53), number, milliseconds{100}};
  const auto wait_until_all_are_on = [&](const char* server) {
    const auto end = TestClock::now() + milliseconds{5000};
    while (crowd.answered_by(server) < number && TestClock::now() < end) std::this_thread::sleep_for(milliseconds{5});
    return crowd.answered_by(server);
  };
  ASSERT_EQ(wait_until_all_are_on("primary"), number);
  lab.silent(Host::primary, true);
  const Status status = hanatd.wait_target("web", "backup");
  ASSERT_EQ(wait_until_all_are_on("backup"), number);
  TestClock::time_point last;
  for (const auto& first : crowd.first_answers_of("backup")) last = std::max(last, first.value());
  const auto took = std::chrono::duration_cast<milliseconds>(last - moment_of(service(status, "web").last_flip->at));
  fmt::print("{} senders, from the flip to the last on the new target: {} ms\n", number, took.count());
  EXPECT_LT(took, milliseconds{900}) << "what is cut a second later with TCP's entries comes too late; the benchmark `told` has the figure";
}

TEST(Sessions, WhatIsNotHanatsIsUntouchedByFlips) {
  Lab lab{{.bystander = true, .vip_local = true}};
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  TcpServer other_service{lab, Host::primary, 9000, "other"};
  TcpServer forwarded{lab, Host::primary, 7000, "forwarded"};
  TcpServer on_gateway{lab, Host::gateway, 2222, "gateway"}; // like sshd, on the VIP's own address
  lab.must(Host::gateway,
           "nft -f - <<'END'\ntable ip operators {\n  set s { type ipv4_addr; elements = { 192.0.2.1 }\n  }\n  chain c { type filter hook "
           "forward priority 5; policy accept; counter comment \"mine\"\n  }\n}\nEND");
  const std::string foreign_before = lab.must(Host::gateway, "nft -s list table ip operators");
  Hanatd hanatd{lab, fast_service() +
                         fast_service({.name = "other", .listen = "203.0.113.11:900/tcp", .port = 9000, .extra = "failback = \"manual\""})};
  hanatd.wait_target("web", "primary");
  hanatd.wait_target("other", "primary");

  std::vector<TcpClient> bystanders;
  const auto add = [&](Host from, const Endpoint& to, const char* answer) {
    bystanders.emplace_back(lab, from, to);
    EXPECT_EQ(bystanders.back().ask().text, answer);
  };
  for (int count = 0; count < 20; ++count) {
    add(Host::bystander, {Address::parse("203.0.113.11").value(), 900}, "other"); // another service on the same server
    add(Host::bystander, Lab::endpoint(Host::primary, 7000), "forwarded");        // past hanat, to the same server
    add(Host::bystander, {Lab::vip(0).address, 2222}, "gateway");                 // the gateway itself, on the VIP
    add(Host::gateway, Lab::endpoint(Host::primary, 7000), "forwarded");          // from the gateway
    add(Host::client, Lab::endpoint(Host::primary, 8443), "primary");             // the service's server, asked directly
  }
  for (int flip = 0; flip < 10; ++flip) {
    const std::string target = flip % 2 == 0 ? "backup" : "primary";
    ASSERT_EQ(hanatd.ctl({"force-" + target, "web"}).exit, 0);
    hanatd.wait_target("web", target); // it may wait for the cut of that server's flows of before
    EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443)).text, target);
  }
  hanatd.wait_for(cut_is_done, milliseconds{10000});
  std::size_t broken = 0;
  for (TcpClient& bystander : bystanders) broken += bystander.ask().result != Result::answered ? 1U : 0U;
  EXPECT_EQ(broken, 0U) << "of " << bystanders.size();
  EXPECT_EQ(lab.must(Host::gateway, "nft -s list table ip operators"), foreign_before);
  EXPECT_EQ(service(hanatd.status(), "other").flips, 0U);
}

TEST(Sessions, OneStraySegmentOutOfTheWindowDoesNotKillAHealthyConnection) {
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  Hanatd hanatd{lab, fast_service()};
  hanatd.wait_target("web", "primary");
  TcpClient client{lab, Host::client, Lab::vip(443)};
  ASSERT_EQ(client.ask().text, "primary");
  // An ACK far out of the window, with the connection's own ports, as a late duplicate or a middlebox would send it.
  lab.must(Host::client, fmt::format("python3 - <<'END'\n"
                                     "import socket, struct\n"
                                     "src, dst = socket.inet_aton('{}'), socket.inet_aton('203.0.113.10')\n"
                                     "tcp = struct.pack('!HHIIBBHHH', {}, 443, 4000000000, 3000000000, 0x50, 0x10, 1000, 0, 0)\n"
                                     "data = src + dst + struct.pack('!BBH', 0, 6, len(tcp)) + tcp\n"
                                     "total = sum(struct.unpack('!%dH' % (len(data) // 2), data))\n"
                                     "total = (total >> 16) + (total & 0xffff); total += total >> 16\n"
                                     "tcp = tcp[:16] + struct.pack('!H', ~total & 0xffff) + tcp[18:]\n"
                                     "s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)\n"
                                     "s.sendto(tcp, ('203.0.113.10', 0))\n"
                                     "END",
                                     Lab::address(Host::client).text(), client.local_port()));
  std::this_thread::sleep_for(milliseconds{100});
  EXPECT_EQ(client.ask().text, "primary");
}

TEST(Sessions, AConnectionThatTheGatewayItselfTookBeforeTheRulesCameIsGivenToTheServer) {
  // A sender that was there first has an entry without translation; without the cut it would be pinned to nobody for as long as it sends.
  Lab lab;
  UdpServer primary{lab, Host::primary, 53, "primary"};
  TcpServer probe{lab, Host::primary, 53, "primary"};
  TcpServer backup_probe{lab, Host::backup, 53, "backup"};
  lab.must(
      Host::gateway,
      "nft -f - <<'END'\ntable ip conntrack_on {\n  chain c { type filter hook prerouting priority 0; policy accept; ct state new accept\n"
      "  }\n}\nEND");
  lab.must(Host::gateway, "ip route add blackhole 192.0.2.0/24 && ip route add default via " + Lab::address(Host::backup).text());
  UdpStream stream{lab, Host::client, Lab::vip(53), milliseconds{5}, 40000};
  std::this_thread::sleep_for(milliseconds{200});
  Hanatd hanatd{lab, fast_service({.listen = "203.0.113.10:53/udp", .port = 53, .probe = "type = \"tcp\", port = 53"})};
  hanatd.wait_target("web", "primary");
  std::this_thread::sleep_for(milliseconds{300});
  EXPECT_EQ(stream.finish().back().by, "primary");
}

} // namespace
} // namespace hanat::test
