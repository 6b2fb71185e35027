// The gateway's table of connections is full: whatever begins a connection is dropped there, and a healthy server must not be taken for a
// dead one. Not here: what clients get meanwhile, which is nothing.
#include <algorithm>
#include <fstream>
#include <string>
#include <system_error>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"
#include "tests/netns/lab/synth.hpp"

namespace hanat::test {
namespace {

/// The limit is the whole machine's and stays as it is; the entries are of the gateway's namespace, and go with it.
class FullConntrack : public testing::Test {
protected:
  FullConntrack() {
    hanatd.wait_target("web", "primary");
    hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "backup").health == "up"; });
  }
  static std::size_t number_in(const char* path) {
    std::size_t number = 0;
    std::ifstream{path} >> number;
    return number;
  }
  /// Entries of probes end meanwhile and leave room: it is full when a client finds it so.
  void fill() {
    std::size_t made = 0; // every entry has a client of its own
    Attempt client;
    for (int round = 0; round < 20 && client.result != Result::timeout; ++round) {
      lab.in(Host::gateway, [&made] { fill_up(made); });
      client = connect_once(lab, Host::client, Lab::vip(443), milliseconds{300});
    }
    ASSERT_EQ(client.result, Result::timeout) << "there is room left";
  }
  static void fill_up(std::size_t& made) {
    const Mapping group_view{vip("203.0.113.99", 80, Protocol::tcp), endpoint("198.18.99.2", 80)};
    const std::size_t most = number_in("/proc/sys/net/netfilter/nf_conntrack_max");
    for (std::size_t there = 0; (there = number_in("/proc/sys/net/netfilter/nf_conntrack_count")) < most;) {
      const std::size_t some = std::min<std::size_t>(most - there, 50'000);
      try {
        synthesise(flows_of(group_view, some, made));
      } catch (const std::system_error& full) {
        if (full.code() != std::errc::not_enough_memory) throw;
        made += some; // the first of them were made
        return;
      }
      made += some;
    }
  }
  void expect_nothing_moves() {
    std::this_thread::sleep_for(milliseconds{1500}); // thirty questions, and seven deadlines
    const Status status = hanatd.status();
    EXPECT_EQ(service(status, "web").target, "primary") << hanatd.log();
    EXPECT_EQ(service(status, "web").flips, 0U);
    for (const char* role : {"primary", "backup"}) EXPECT_EQ(server(service(status, "web"), role).health, "up") << role;
  }

  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  Hanatd hanatd{lab, fast_service()};
};

TEST_F(FullConntrack, IsNamedByTheDoctor) {
  fill();
  std::jthread fills([this](const std::stop_token& stop) { // in place of entries that end meanwhile
    for (std::size_t made = 1'000'000; !stop.stop_requested();) lab.in(Host::gateway, [&made] { fill_up(made); });
  });
  const Output output = hanatd.ctl({"doctor", "--json"});
  fills.request_stop();
  EXPECT_EQ(output.exit, 2) << output.out;
  EXPECT_THAT(output.out, testing::HasSubstr("conntrack-full"));
  EXPECT_THAT(output.out, testing::HasSubstr("sysctl -w net.netfilter.nf_conntrack_max="));
}

TEST_F(FullConntrack, DoesNotKeepProbesFromTheirServers) {
  const char* look = "nft list chain inet hanat untracked";
  EXPECT_NE(lab.run(Host::gateway, look).exit, 0) << "in peace no packet pays for it";
  fill();
  expect_nothing_moves();
  const Status status = hanatd.status();
  EXPECT_EQ(server(service(status, "web"), "primary").last->reason, "connected");
  EXPECT_FALSE(status.daemon.inconclusive) << *status.daemon.inconclusive;
  lab.must(Host::gateway, look);
  primary.kill(); // what is dead is still found
  hanatd.wait_target("web", "backup");
}

TEST_F(FullConntrack, ProbesComeFromThePortsThatAReloadNames) {
  fill();
  expect_nothing_moves();
  const std::string text = "[hanatd]\nprobe_ports = \"20000-20199\"\n" + fast_service();
  EXPECT_EQ(hanatd.reload(text).exit, 0);
  expect_nothing_moves();
  const Status status = hanatd.status();
  EXPECT_EQ(server(service(status, "web"), "primary").last->reason, "connected");
  EXPECT_FALSE(status.daemon.inconclusive) << *status.daemon.inconclusive;
  const std::string table = lab.must(Host::gateway, "nft list table inet hanat");
  EXPECT_THAT(table, testing::HasSubstr("th dport 20000-20199 socket mark 0x68616e61 notrack"));
  EXPECT_THAT(table, testing::HasSubstr("masquerade to :20200-65535 fully-random"));
  EXPECT_THAT(table, testing::Not(testing::HasSubstr("61000")));
  EXPECT_THAT(hanatd.log(), testing::Not(testing::HasSubstr("find out what else changes nftables")));
  hanatd.restart();
  hanatd.wait_target("web", "primary");
  EXPECT_THAT(hanatd.log(), testing::Not(testing::HasSubstr("replaced, its targets kept"))) << "the rules are for these ports";
}

TEST_F(FullConntrack, BehindAFirewallThatKnowsEstablishedConnectionsOnlyBlindsHanatd) {
  lab.must(Host::gateway, "nft 'add table inet fw; add chain inet fw in { type filter hook input priority 0; policy drop; }; "
                          "add rule inet fw in ct state established,related accept'");
  fill();
  expect_nothing_moves();
  const Status status = hanatd.status();
  ASSERT_TRUE(status.daemon.inconclusive.has_value());
  EXPECT_NE(status.daemon.inconclusive->find("conntrack-full"), std::string::npos) << *status.daemon.inconclusive;
}

} // namespace
} // namespace hanat::test
