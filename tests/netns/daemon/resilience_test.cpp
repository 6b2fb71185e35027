// What happens again and again, or at the worst moment: kills between the steps of a flip, reloads under load, strict firewalls, a
// watchdog.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/load.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

using std::this_thread::sleep_for;
using testing::HasSubstr;

class Resilience : public testing::Test {
protected:
  static Endpoint vip(std::uint16_t port = 443) { return Lab::vip(port); }
  /// Flows of the VIP that conntrack has on a server, closing ones left out.
  int flows_on(Host host) {
    return std::stoi(lab.must(
        Host::gateway, fmt::format("conntrack -L -p tcp --orig-dst {} --reply-src {} 2>/dev/null | grep -cE 'ESTABLISHED|SYN' || true",
                                   vip().address.text(), Lab::address(host).text())));
  }

  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
};

TEST_F(Resilience, KilledAtAnyMomentOfAFlipItComesBackWhole) {
  Hanatd hanatd{lab, fast_service()};
  hanatd.wait_target("web", "primary");
  const auto seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::minstd_rand random{seed};
  std::string target = "primary";
  for (int round = 0; round < 12; ++round) {
    TcpClient idle{lab, Host::client, vip()};
    EXPECT_EQ(idle.ask().text, target);
    target = target == "primary" ? "backup" : "primary";
    std::thread operator_{[&] { hanatd.ctl({"force-" + target, "web"}); }};
    sleep_for(std::chrono::microseconds{std::uniform_int_distribution{0, 60'000}(random)});
    hanatd.kill9();
    operator_.join();
    const std::string alone = connect_once(lab, Host::client, vip()).text;
    EXPECT_THAT(alone, testing::AnyOf("primary", "backup")) << "without a daemon";
    hanatd.start();
    ASSERT_EQ(hanatd.ctl({"force-" + target, "web", "--even-if-down"}).exit, 0);
    hanatd.wait_target("web", target); // it may wait for a cut of that server's flows
    EXPECT_EQ(connect_once(lab, Host::client, vip()).text, target);
    const Host other = target == "primary" ? Host::backup : Host::primary;
    int left = flows_on(other);
    for (int wait = 0; wait < 60 && left != 0; ++wait) {
      sleep_for(milliseconds{50});
      left = flows_on(other);
    }
    EXPECT_EQ(left, 0) << "flows on the server that has not the traffic, round " << round;
  }
}

TEST_F(Resilience, ReloadsUnderLoadBreakNothing) {
  const std::string web = fast_service();
  const auto other = [](int port) { return fast_service({.name = "other", .listen = fmt::format("203.0.113.11:{}/tcp", port)}); };
  Hanatd hanatd{lab, web + other(900)};
  hanatd.wait_target("web", "primary");
  Load load{lab, Host::client, vip(), {.per_second = 300, .duration = milliseconds{20'000}}};
  TcpClient client{lab, Host::client, vip()};
  for (int round = 0; round < 20; ++round) {
    switch (round % 4) {
    case 0: EXPECT_EQ(hanatd.reload(web + other(901 + round)).exit, 0); break;
    case 1: EXPECT_EQ(hanatd.reload(web).exit, 0); break;
    case 2: EXPECT_EQ(hanatd.reload(web + "[service.other]\nlisten = 5\n").exit, 2); break;
    case 3: EXPECT_EQ(hanatd.reload(web + other(900)).exit, 0); break;
    }
    EXPECT_EQ(client.ask().text, "primary");
  }
  const LoadResult result = load.stop();
  EXPECT_EQ(result.failed(), 0U) << result;
  EXPECT_EQ(result.answered().size(), 1U) << result;
  EXPECT_EQ(service(hanatd.status(), "web").flips, 0U);
}

TEST_F(Resilience, AFirewallThatDropsWhatIsInvalidOrNewWithoutSynDoesNotHideTheReset) {
  for (const char* loose : {"0", "1"}) {
    lab.sysctl(Host::gateway, "net.netfilter.nf_conntrack_tcp_loose", loose);
    lab.must(
        Host::gateway,
        "nft -f - <<'END'\ntable inet strict {\n  chain f { type filter hook forward priority 0; policy accept; ct state invalid drop; "
        "tcp flags & (fin|syn|rst|ack) != syn ct state new drop\n  }\n  chain p { type filter hook prerouting priority -50; policy accept; "
        "ct state invalid drop; tcp flags & (fin|syn|rst|ack) != syn ct state new drop\n  }\n}\nEND");
    Hanatd hanatd{lab, fast_service()};
    hanatd.wait_target("web", "primary");
    TcpClient before{lab, Host::client, vip()}, after{lab, Host::client, vip()};
    ASSERT_EQ(before.ask().text, "primary");
    ASSERT_EQ(after.ask().text, "primary");
    lab.silent(Host::primary, true);
    hanatd.wait_target("web", "backup");
    EXPECT_EQ(before.ask().result, Result::reset) << "loose " << loose;
    hanatd.wait_for([](const Status& status) { return service(status, "web").last_flip->cut_ms.has_value(); });
    EXPECT_EQ(after.ask().result, Result::reset) << "loose " << loose;
    EXPECT_EQ(connect_once(lab, Host::client, vip()).text, "backup");
    lab.silent(Host::primary, false);
    lab.must(Host::gateway, "nft delete table inet strict");
    hanatd.write_config("[hanatd]\non_stop = \"remove\"\n");
    hanatd.ctl({"reload"});
    hanatd.stop();
  }
}

TEST_F(Resilience, AKernelThatRefusesIsToldAndTriedAgainWhileTheDaemonStaysAwake) {
  Hanatd hanatd{lab, fast_service() + fast_service({.name = "other", .listen = "203.0.113.11:900/tcp"}), {.arguments = {"--shared-table"}}};
  hanatd.wait_target("web", "primary");
  hanatd.wait_target("other", "primary");
  // Somebody puts a table of their own in the place of hanatd's and owns it for three seconds: every change is refused.
  const Process thief =
      lab.spawn(Host::gateway, {"sh", "-c", "(echo 'delete table inet hanat; add table inet hanat { flags owner; }'; sleep 3) | nft -i"});
  hanatd.wait_for([](const Status& status) { return status.daemon.kernel == "failed"; }, milliseconds{2500});
  primary.kill();
  for (int round = 0; round < 10; ++round) {
    const auto began = TestClock::now();
    const Status status = hanatd.status();
    EXPECT_LT(TestClock::now() - began, milliseconds{500}) << "deaf";
    EXPECT_TRUE(round >= 5 || status.daemon.kernel != "in-step") << "round " << round;
    sleep_for(milliseconds{100});
  }
  hanatd.wait_target("web", "backup", milliseconds{8000});
  hanatd.wait_target("other", "backup", milliseconds{2000});
  EXPECT_EQ(connect_once(lab, Host::client, vip()).text, "backup");
  EXPECT_EQ(hanatd.status().daemon.kernel, "in-step");
  EXPECT_THAT(hanatd.log(), HasSubstr("the kernel accepts changes again"));
}

TEST_F(Resilience, ItTellsSystemdThatItIsReadyAndAlive) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = fmt::format("hanat-notify-{}", getpid()); // abstract: nothing is left behind
  std::copy(name.begin(), name.end(), address.sun_path + 1);
  ::setenv("NOTIFY_SOCKET", ("@" + name).c_str(), 1);
  ::setenv("WATCHDOG_USEC", "200000", 1);
  // An abstract name is one network namespace's own: it is bound where the daemon runs.
  Hanatd hanatd{lab, fast_service(), {.start = false}};
  std::string heard;
  lab.in(Host::gateway, [&] {
    const Fd inside{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    ASSERT_EQ(::bind(inside.get(), reinterpret_cast<const sockaddr*>(&address),
                     static_cast<socklen_t>(sizeof address.sun_family + 1 + name.size())),
              0);
    hanatd.start();
    const auto deadline = TestClock::now() + milliseconds{3000};
    while (heard.find("WATCHDOG=1") == std::string::npos && TestClock::now() < deadline) {
      pollfd wait{.fd = inside.get(), .events = POLLIN, .revents = 0};
      if (::poll(&wait, 1, 100) <= 0) continue;
      std::array<char, 512> buffer{};
      const ssize_t length = ::recv(inside.get(), buffer.data(), buffer.size(), 0);
      if (length > 0) heard.append(buffer.data(), static_cast<std::size_t>(length)) += '\n';
    }
    hanatd.stop();
  });
  ::unsetenv("NOTIFY_SOCKET");
  ::unsetenv("WATCHDOG_USEC");
  EXPECT_THAT(heard, HasSubstr("READY=1"));
  EXPECT_THAT(heard, HasSubstr("WATCHDOG=1"));
}

} // namespace
} // namespace hanat::test
