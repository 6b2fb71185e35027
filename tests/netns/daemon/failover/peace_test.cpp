// While nothing happens hanatd commits nothing, so that other programs can list a ruleset of any size; the heartbeat lives without commits.
// Not here: what is held by it (hold_test), its packet (nat/nftables/heartbeat_socket_test).
#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <linux/netfilter/nf_tables.h>

#include "nat/netlink.hpp"
#include "nat/nftables/commit_watch.hpp"
#include "nat/nftables/request.hpp"
#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"
#include "tests/netns/lab/scripted.hpp"

namespace hanat::test {
namespace {

using std::this_thread::sleep_for;
using testing::HasSubstr;
using testing::Not;

constexpr milliseconds heartbeat_for{3000};
constexpr milliseconds several_heartbeats{10'000};

/// How many commits there have been in the gateway's namespace.
std::uint32_t generation(Lab& lab) {
  return lab.in(Host::gateway, [] {
    nat::Netlink netlink;
    std::array<std::uint8_t, 256> request{};
    nlmsghdr* header = nat::put_nft_header(request, nat::nft_type(NFT_MSG_GETGEN), NLM_F_ACK, netlink.next_sequence());
    std::uint32_t found = 0;
    netlink.exchange({request.data(), header->nlmsg_len}, header->nlmsg_seq, header->nlmsg_seq, "read the generation",
                     [&](const nlmsghdr& reply) { found = nat::generation_in(reply); });
    return found;
  });
}

/// After a start flows from before are cut, and what follows from that is committed.
testing::AssertionResult becomes_quiet(Lab& lab) {
  constexpr milliseconds long_enough{2500};
  const auto deadline = TestClock::now() + milliseconds{20'000};
  std::uint32_t last = generation(lab);
  for (auto since = TestClock::now(); TestClock::now() < since + long_enough; sleep_for(milliseconds{50})) {
    if (TestClock::now() > deadline) return testing::AssertionFailure() << "commits all the time";
    if (const std::uint32_t now = generation(lab); now != last) last = now, since = TestClock::now();
  }
  return testing::AssertionSuccess();
}

std::string listed_heartbeat(Lab& lab) { return lab.must(Host::gateway, "nft list set inet hanat heartbeat"); }

class Peace : public testing::Test {
protected:
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};

  std::string services() const {
    return fast_service() + fast_service({.name = "dns", .listen = "203.0.113.10:53/udp", .probe = "type = \"tcp\", port = 8443"}) +
           fast_service({.name = "range", .listen = "203.0.113.11:5000-5010/tcp", .port = 0, .probe = "type = \"tcp\", port = 8443"}) +
           fast_service({.name = "six", .listen = "[2001:db8::10]:443/tcp", .family = Family::ipv6});
  }
  static void wait_both_up(const Hanatd& hanatd) {
    for (const char* name : {"web", "dns", "range", "six"})
      hanatd.wait_for([name](const Status& now) {
        const ServiceStatus& one = service(now, name);
        return one.target == "primary" && server(one, "primary").health == "up" && server(one, "backup").health == "up";
      });
  }
};

TEST_F(Peace, NothingIsCommittedWhileEveryServerIsUp) {
  Hanatd hanatd{lab, services()};
  wait_both_up(hanatd);
  ASSERT_TRUE(becomes_quiet(lab));
  const TempFolder folder;
  Process monitor = lab.spawn(Host::gateway, {"sh", "-c", fmt::format("exec nft monitor >{}", folder.file("events"))});
  const std::uint32_t before = generation(lab);
  sleep_for(several_heartbeats); // of peace
  EXPECT_THAT(listed_heartbeat(lab), HasSubstr("expires")) << "alive";
  EXPECT_THAT(lab.must(Host::gateway, "nft list set inet hanat hold4"), HasSubstr("8443")) << "a refusal would be held";
  EXPECT_EQ(generation(lab), before);
  EXPECT_TRUE(monitor.running());
  monitor.kill();
  EXPECT_EQ(folder.read("events"), "");
}

TEST_F(Peace, AListingOfManyRulesTakesAsLongAsWithoutHanatd) {
  lab.must(Host::gateway, "(echo 'add table ip others'; echo 'add chain ip others c'; for i in $(seq 30000); do "
                          "echo \"add rule ip others c ip saddr 192.0.2.1 tcp dport $((i)) accept\"; done) | nft -f -");
  const auto fastest_listing = [&] {
    auto fastest = std::chrono::nanoseconds::max();
    for (int round = 0; round < 3; ++round) {
      const auto began = TestClock::now();
      EXPECT_EQ(lab.run(Host::gateway, "nft list ruleset >/dev/null", milliseconds{30'000}).exit, 0);
      fastest = std::min<std::chrono::nanoseconds>(fastest, TestClock::now() - began);
    }
    return fastest;
  };
  const auto without = fastest_listing();
  Hanatd hanatd{lab, services()};
  wait_both_up(hanatd);
  EXPECT_TRUE(becomes_quiet(lab));
  const double ratio = static_cast<double>(fastest_listing().count()) / static_cast<double>(without.count());
  fmt::print("30,000 rules of others: listed in {} ms without hanatd, {:.2f} times that beside it\n",
             std::chrono::duration_cast<milliseconds>(without).count(), ratio);
  EXPECT_LT(ratio, 1.9) << "a listing that starts over takes twice as long";
}

TEST_F(Peace, WhereNoPacketGetsThroughATransactionIsTheHeartbeat) {
  Hanatd hanatd{lab, services()};
  wait_both_up(hanatd);
  ASSERT_TRUE(becomes_quiet(lab));
  EXPECT_THAT(hanatd.log(), Not(HasSubstr("heartbeat")));
  lab.must(Host::gateway, "ip address flush dev lo");
  const std::uint32_t before = generation(lab);
  sleep_for(heartbeat_for + milliseconds{1500}); // the last packet's has expired
  EXPECT_THAT(listed_heartbeat(lab), HasSubstr("expires"));
  EXPECT_GT(generation(lab), before);
  const std::string log = hanatd.log();
  constexpr const char* said = "the heartbeat is a transaction";
  EXPECT_THAT(log, HasSubstr(said));
  EXPECT_EQ(log.find(said), log.rfind(said)) << "once in " << log;
  lab.must(Host::gateway, "ip address add 127.0.0.1/8 dev lo");
  EXPECT_TRUE(becomes_quiet(lab));
  EXPECT_THAT(listed_heartbeat(lab), HasSubstr("expires"));
  EXPECT_THAT(hanatd.log(), HasSubstr("the heartbeat's packet gets through again"));
}

TEST_F(Peace, ARestoredTableHasAHeartbeatAtOnce) {
  Hanatd hanatd{lab, services(), {.arguments = {"--shared-table"}}};
  wait_both_up(hanatd);
  ASSERT_TRUE(becomes_quiet(lab));
  lab.must(Host::gateway, "nft delete table inet hanat");
  std::string listed;
  for (int tries = 0; tries < 50 && listed.find("expires") == std::string::npos; ++tries, sleep_for(milliseconds{10}))
    listed = lab.run(Host::gateway, "nft list set inet hanat heartbeat").out;
  EXPECT_THAT(listed, HasSubstr("expires"));
  ASSERT_TRUE(becomes_quiet(lab));
  EXPECT_THAT(hanatd.log(), Not(HasSubstr("heartbeat")));
}

} // namespace
} // namespace hanat::test
