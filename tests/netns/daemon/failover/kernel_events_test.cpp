// What the kernel tells the daemon: servers are asked at once, whatever their pace, and their answers decide. The probes' interval is far
// longer than each test. Not here: hearing it (ways, client_log), the window's side (unit tests).
#include <chrono>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"

namespace hanat::test {
namespace {

constexpr std::chrono::seconds long_before_the_next_probe{5};

class Told : public testing::Test {
protected:
  static std::string slow_probes() {
    return fmt::format("[service.web]\nlisten = \"203.0.113.10:443/tcp\"\nprimary = \"{}\"\nbackup = \"{}\"\n"
                       "probe = {{ type = \"tcp\", interval = \"60s\", fast_interval = \"20ms\", timeout = \"200ms\" }}\n"
                       "up = {{ passes = 2, stable_for = \"100ms\" }}\n",
                       to_text(Lab::endpoint(Host::primary, 8443)), to_text(Lab::endpoint(Host::backup, 8443)));
  }
  void both_up() {
    hanatd.wait_target("web", "primary");
    hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "backup").health == "up"; });
  }
  std::string last_reason(const std::string& role) {
    const Status status = hanatd.status();
    const auto& last = server(service(status, "web"), role).last;
    return last ? last->reason : "none";
  }

  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  Hanatd hanatd{lab, slow_probes()};
};

TEST_F(Told, OfACableThatIsPulledItMovesTheTrafficAtOnce) {
  both_up();
  const auto began = TestClock::now();
  lab.link(Host::primary, false);
  hanatd.wait_target("web", "backup", long_before_the_next_probe);
  fmt::print("from the carrier's loss to the backup: {} ms\n", std::chrono::duration_cast<milliseconds>(TestClock::now() - began).count());
  EXPECT_EQ(last_reason("primary"), "no-carrier");
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443)).text, "backup");
}

TEST_F(Told, OfARouteThatGoesItMovesTheTrafficAtOnce) {
  both_up();
  lab.must(Host::gateway, "ip route add unreachable 198.18.11.2/32");
  hanatd.wait_target("web", "backup", long_before_the_next_probe);
  EXPECT_EQ(last_reason("primary"), "net-unreachable");
  lab.must(Host::gateway, "ip route del unreachable 198.18.11.2/32");
}

TEST_F(Told, ThatItIsCutOffFromClientsAndServersItHoldsWhatItKnew) {
  both_up();
  lab.link(Host::client, false);
  lab.link(Host::backup, false);
  lab.link(Host::primary, false);
  const Status cut_off = hanatd.wait_for([](const Status& now) { return now.daemon.inconclusive.has_value(); });
  EXPECT_NE(cut_off.daemon.inconclusive->find("no-carrier"), std::string::npos) << *cut_off.daemon.inconclusive;
  std::this_thread::sleep_for(milliseconds{300}); // fifteen answers of a burst
  const Status status = hanatd.status();
  EXPECT_EQ(service(status, "web").target, "primary");
  EXPECT_EQ(server(service(status, "web"), "primary").health, "up");
  EXPECT_NE(hanatd.log().find("servers cannot be probed: no-carrier"), std::string::npos) << hanatd.log();
}

TEST_F(Told, OfARefusedClientItMovesTheTrafficBeforeAnotherIsRefused) {
  both_up();
  primary.kill();
  const Attempt first = connect_once(lab, Host::client, Lab::vip(443));
  EXPECT_EQ(first.result, Result::answered) << first; // held, and nudged after the flip
  EXPECT_EQ(first.text, "backup");
  EXPECT_LT(first.latency, std::chrono::seconds{1}) << "before its own retry";
  EXPECT_EQ(last_reason("primary"), "refused");
}

TEST_F(Told, OfAClientThatIsNotAnsweredItMovesTheTrafficAtItsSecondSyn) {
  both_up();
  lab.silent(Host::primary, true);
  const Attempt first = connect_once(lab, Host::client, Lab::vip(443), milliseconds{5000});
  EXPECT_EQ(first.text, "backup") << first;
  EXPECT_LT(first.latency, milliseconds{2500}) << "a second until its second SYN, then a burst of 200 ms each";
}

} // namespace
} // namespace hanat::test
