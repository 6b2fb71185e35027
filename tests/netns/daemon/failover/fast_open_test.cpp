// Clients with TCP Fast Open, whose SYN carries their question, when their server dies. Not here: clients without (hold_test).
#include <cstdint>
#include <optional>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/observer.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

using std::this_thread::sleep_for;

/// The time-out of an impatient client.
constexpr milliseconds impatient{250};
constexpr std::uint16_t fast_open_health_port = 9000;

/// A server with Fast Open that the test plays.
class FastOpenServer {
public:
  FastOpenServer(Lab& lab, Host host, Family family) : listener_(socket_at(lab, host, SOCK_STREAM, 8443, family)) {
    const int waiting = 100;
    checked(setsockopt(listener_.get(), IPPROTO_TCP, TCP_FASTOPEN, &waiting, sizeof waiting), "TCP_FASTOPEN");
    checked(listen(listener_.get(), waiting), "listen");
  }
  /// A connection, which may have its question already.
  Fd accept() {
    if (!readable_within(listener_, milliseconds{3000})) throw std::runtime_error("no client came");
    return Fd{checked(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept")};
  }

private:
  Fd listener_;
};

/// What the kernel does for a process that dies with questions unread.
void reset_connection(Fd connection) {
  const linger unread{.l_onoff = 1, .l_linger = 0};
  checked(setsockopt(connection.get(), SOL_SOCKET, SO_LINGER, &unread, sizeof unread), "SO_LINGER");
}

class FastOpenClient {
public:
  FastOpenClient(Lab& lab, const Endpoint& to)
      : socket_(lab.socket(Host::client, to.address.family() == Family::ipv4 ? AF_INET : AF_INET6, SOCK_STREAM)), start_(TestClock::now()) {
    const auto there = to_sockaddr(to);
    sent_ = sendto(socket_.get(), "who\n", 4, MSG_FASTOPEN | MSG_DONTWAIT | MSG_NOSIGNAL, there.get(), there.length);
  }
  /// Whether the question went with the SYN: the client has a cookie of the server's.
  bool sent_with_syn() const { return sent_ == 4; }
  bool connected_within(milliseconds time) {
    pollfd polled{.fd = socket_.get(), .events = POLLOUT, .revents = 0};
    return poll(&polled, 1, static_cast<int>(time.count())) > 0;
  }
  /// The line that comes within the time, or what comes instead.
  Attempt hear(milliseconds time) {
    Attempt seen{.result = Result::timeout, .latency = {}, .text = {}};
    if (readable_within(socket_, time)) {
      std::string line(64, '\0');
      const ssize_t got = recv(socket_.get(), line.data(), line.size(), MSG_DONTWAIT);
      seen.result = got > 0 ? Result::answered : got == 0 ? Result::closed : result_of(errno);
      if (got > 1) seen.text = line.substr(0, static_cast<std::size_t>(got - 1));
    }
    seen.latency = TestClock::now() - start_;
    return seen;
  }

private:
  Fd socket_;
  TestClock::time_point start_;
  ssize_t sent_ = 0;
};

class FastOpen : public testing::TestWithParam<Family> {
protected:
  void SetUp() override {
    for (const Host host : {Host::client, Host::primary, Host::backup}) lab.sysctl(host, "net.ipv4.tcp_fastopen", "3"); // IPv6 too
  }
  Endpoint vip() const { return Lab::vip(443, GetParam()); }
  std::string service(const std::string& down = "fails = 3, within = \"2s\"") const {
    return fast_service({.listen = to_text(vip()) + "/tcp",
                         .family = GetParam(),
                         .probe = fmt::format("type = \"tcp\", port = {}", fast_open_health_port),
                         .down = down});
  }
  void wait_hold(const Hanatd& hanatd) {
    hanatd.wait_for([](const Status& now) {
      const ServiceStatus& web = hanat::test::service(now, "web");
      return web.target == "primary" && server(web, "primary").health == "up" && server(web, "backup").health == "up";
    });
    const std::string set = GetParam() == Family::ipv4 ? "hold4" : "hold6";
    for (int tries = 0; tries < 100; ++tries, sleep_for(milliseconds{10}))
      if (lab.must(Host::gateway, "nft list set inet hanat " + set).find("8443") != std::string::npos) return;
    ADD_FAILURE() << "nothing in " << set;
  }
  /// The client gets a cookie of the server's: from now on its questions go with the SYN.
  void give_cookie(FastOpenServer& to_server) {
    FastOpenClient first{lab, vip()};
    ASSERT_TRUE(first.connected_within(milliseconds{1000}));
    to_server.accept();
  }

  Lab lab;
  std::optional<TcpServer> primary_probe{std::in_place, lab, Host::primary, fast_open_health_port, "primary"};
  TcpServer backup_probe{lab, Host::backup, fast_open_health_port, "backup"};
};
INSTANTIATE_TEST_SUITE_P(, FastOpen, testing::Values(Family::ipv4, Family::ipv6),
                         [](const auto& test) { return test.param == Family::ipv4 ? "IPv4" : "IPv6"; });

TEST_P(FastOpen, AClientWhoseQuestionTheServerHadIsResetAtOnce) {
  FastOpenServer primary{lab, Host::primary, GetParam()};
  Hanatd hanatd{lab, service("fails = 1000, within = \"300s\"")};
  wait_hold(hanatd);
  give_cookie(primary);
  // The acknowledgement of the SYN ACK is still on its way when the server dies.
  lab.must(Host::client, "nft -f - <<'END'\ntable inet far {\n  chain c {\n    type filter hook output priority 0; policy accept;\n    "
                         "tcp flags & (fin|syn|rst|psh|ack) == ack drop\n  }\n}\nEND");
  FastOpenClient client{lab, vip()};
  ASSERT_TRUE(client.sent_with_syn());
  reset_connection(primary.accept());
  const Attempt seen = client.hear(impatient);
  EXPECT_EQ(seen.result, Result::reset) << seen;
}

TEST_P(FastOpen, AClientThatADyingServerRefusesIsAnsweredByTheBackup) {
  std::optional<FastOpenServer> primary{std::in_place, lab, Host::primary, GetParam()};
  FastOpenServer backup{lab, Host::backup, GetParam()};
  Hanatd hanatd{lab, service()};
  wait_hold(hanatd);
  give_cookie(*primary);
  primary.reset();
  FastOpenClient client{lab, vip()};
  ASSERT_TRUE(client.sent_with_syn());
  primary_probe->kill();
  const Fd connection = backup.accept();
  std::string question(16, '\0');
  const ssize_t got = recv(connection.get(), question.data(), question.size(), 0);
  ASSERT_GT(got, 0);
  EXPECT_EQ(question.substr(0, static_cast<std::size_t>(got)), "who\n");
  checked(static_cast<int>(send(connection.get(), "backup\n", 7, MSG_NOSIGNAL)), "send");
  const Attempt seen = client.hear(milliseconds{1000});
  EXPECT_EQ(seen.text, "backup") << seen;
  EXPECT_LT(seen.latency, milliseconds{900}) << "nudged, not by its own timer";
}

} // namespace
} // namespace hanat::test
