// The gateway's table of connections is full: whatever begins a connection is dropped there, and a healthy server must not be taken for a
// dead one. Not here: what clients get meanwhile, which is nothing.
#include <algorithm>
#include <fstream>
#include <string>
#include <system_error>
#include <thread>

#include <gtest/gtest.h>

#include "tests/netns/hanatd.hpp"
#include "tests/netns/lab.hpp"
#include "tests/netns/peers.hpp"
#include "tests/netns/scenario.hpp"
#include "tests/netns/synth.hpp"

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
  void fill() {
    lab.in(Host::gateway, [] {
      const std::size_t most = number_in("/proc/sys/net/netfilter/nf_conntrack_max");
      const Mapping elsewhere{vip("203.0.113.99", 80, Protocol::tcp), endpoint("198.18.99.2", 80)};
      for (std::size_t made = number_in("/proc/sys/net/netfilter/nf_conntrack_count"); made < most;) {
        const std::size_t some = std::min<std::size_t>(most - made, 50'000);
        try {
          synthesise(flows_of(elsewhere, some, made));
          made += some;
        } catch (const std::system_error& full) {
          if (full.code() != std::errc::not_enough_memory) throw;
          break;
        }
      }
    });
    const Attempt client = connect_once(lab, Host::client, Lab::vip(443), milliseconds{300});
    ASSERT_EQ(client.result, Result::timeout) << "there is room left";
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

TEST_F(FullConntrack, DoesNotKeepProbesFromTheirServers) {
  const char* look = "nft list chain inet hanat untracked";
  EXPECT_NE(lab.run(Host::gateway, look).exit, 0) << "in peace no packet pays for it";
  fill();
  expect_nothing_moves();
  const Status status = hanatd.status();
  EXPECT_EQ(server(service(status, "web"), "primary").last->reason, "connected");
  EXPECT_FALSE(status.daemon.blind) << *status.daemon.blind;
  lab.must(Host::gateway, look);
  primary.kill(); // what is dead is still found
  hanatd.wait_target("web", "backup");
}

TEST_F(FullConntrack, BehindAFirewallThatKnowsEstablishedConnectionsOnlyBlindsHanatd) {
  lab.must(Host::gateway, "nft 'add table inet fw; add chain inet fw in { type filter hook input priority 0; policy drop; }; "
                          "add rule inet fw in ct state established,related accept'");
  fill();
  expect_nothing_moves();
  const Status status = hanatd.status();
  ASSERT_TRUE(status.daemon.blind.has_value());
  EXPECT_NE(status.daemon.blind->find("conntrack-full"), std::string::npos) << *status.daemon.blind;
}

} // namespace
} // namespace hanat::test
