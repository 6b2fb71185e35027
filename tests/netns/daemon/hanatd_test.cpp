// The daemon under test can be started, asked, killed and started again. Not here: what it should do (the other tests of this room).
#include <csignal>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/load.hpp"
#include "tests/netns/lab/peers.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr const char* one_service = R"(
[service.web]
listen  = ["203.0.113.10:443/tcp", "[2001:db8::10]:443/tcp"]
primary = ["198.18.11.2:8443", "[fd00:11::2]:8443"]
backup  = ["198.18.12.2:8443", "[fd00:12::2]:8443"]
probe   = { type = "tcp", interval = "100ms", timeout = "50ms" }
)";

class HanatdTest : public testing::Test {
protected:
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
};

TEST_F(HanatdTest, StartsAndServesAndEnds) {
  Hanatd daemon(lab, one_service);
  daemon.wait_target("web", "primary");
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443)).text, "primary");
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443, Family::ipv6)).text, "primary");
  EXPECT_EQ(daemon.status().daemon.pid, daemon.pid());
  EXPECT_EQ(daemon.stop(), 0) << daemon.log();
  EXPECT_FALSE(daemon.running());
}

TEST_F(HanatdTest, MovesTheTrafficWhenThePrimaryIsKilled) {
  Hanatd daemon(lab, one_service);
  daemon.wait_target("web", "primary");
  Load load(lab, Host::client, Lab::vip(443), {.per_second = 200, .duration = 10s});
  std::this_thread::sleep_for(300ms);
  primary.kill();
  daemon.wait_target("web", "backup");
  std::this_thread::sleep_for(200ms);
  const LoadResult result = load.stop();
  EXPECT_GT(result.answered()["primary"], 0U) << result;
  EXPECT_GT(result.answered()["backup"], 0U) << result;
}

TEST_F(HanatdTest, IsFoundAgainAfterKill9) {
  Hanatd daemon(lab, one_service);
  daemon.wait_target("web", "primary");
  daemon.kill9();
  EXPECT_EQ(daemon.wait_exit(1s), 128 + SIGKILL);
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443)).text, "primary"); // the table outlives the daemon
  daemon.start();
  daemon.wait_target("web", "primary");
}

TEST_F(HanatdTest, AStartThatFailsSaysWhatTheDaemonSaid) {
  try {
    const Hanatd daemon(lab, "[service.web]\nlisten = 7\n");
    FAIL() << "it started";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("hanatd ended with 2"));
    EXPECT_THAT(error.what(), HasSubstr("hanat.toml:2:"));
  }
}

TEST_F(HanatdTest, HanatctlAsksThisDaemon) {
  const Hanatd daemon(lab, one_service);
  daemon.wait_target("web", "primary");
  const Output output = daemon.ctl({"--json", "status"});
  EXPECT_EQ(output.exit, 0) << output.err;
  EXPECT_THAT(output.out, HasSubstr("203.0.113.10:443/tcp"));
}

} // namespace
} // namespace hanat::test
