// Flows that the server opened, through an ordinary masquerade or snat of the operator: the conntrack entry has the server's direction, and
// its reply goes to the virtual endpoint. Seen from the client's socket after a failover and after a forced move. The old server says
// nothing any more. Not here: entries made by hand, by every method (nat/conntrack/cut_test), the audit (conntrack_audit_test).
#include <array>
#include <cerrno>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/observer.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

constexpr std::uint16_t push_health_port = 9999; // servers are judged by another port than the one they push from

struct PushCase {
  const char* name;
  Family family;
  bool masquerade;   // else snat to an address that the gateway does not have
  const char* snat;  // the service's own
  const char* ports; // what it listens at
};

class ServerOpened : public testing::TestWithParam<PushCase> {
protected:
  void SetUp() override {
    lab.must(Host::gateway,
             fmt::format("nft -f - <<'END'\ntable inet operators {{\n  chain c {{\n    type nat hook postrouting priority 100;\n"
                         "    iifname {{ \"to-primary\", \"to-backup\" }} oifname \"to-client\" {}\n  }}\n}}\nEND",
                         GetParam().masquerade ? std::string{"masquerade"}
                                               : fmt::format("snat {} to {}", family == Family::ipv4 ? "ip" : "ip6", vip.address.text())));
  }
  std::string config() const {
    const std::string address = family == Family::ipv4 ? vip.address.text() : "[" + vip.address.text() + "]";
    const auto listener = [&](const char* protocol) { return fmt::format("{}:{}/{}", address, GetParam().ports, protocol); };
    const bool range = std::string_view{GetParam().ports} != "443";
    return fast_service({.listen = listener("tcp") + "\", \"" + listener("udp"),
                         .port = range ? std::uint16_t{0} : vip.port,
                         .family = family,
                         .probe = fmt::format("type = \"tcp\", port = {}", push_health_port),
                         .extra = fmt::format("snat = \"{}\"\non_forced = \"reset\"", GetParam().snat)});
  }
  void wait_until_both_are_up(const Hanatd& hanatd) {
    hanatd.wait_target("web", "primary");
    hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "backup").health == "up"; });
  }
  /// Sends from the client until it hears this; what it heard last.
  static std::string hear_after_sending(Sender& client, const std::string& wanted) {
    std::string heard;
    for (const auto end = TestClock::now() + milliseconds{3000}; heard != wanted && TestClock::now() < end;) {
      client.send();
      heard = client.hear(milliseconds{100});
    }
    return heard;
  }
  void expect_cut(const Hanatd& hanatd, Protocol protocol) {
    hanatd.wait_for([&](const Status& now) {
      const auto& cut = service(now, "web").last_flip.value().cut;
      return (protocol == Protocol::udp ? cut.udp : cut.tcp) == 1;
    });
  }

  const Family family = GetParam().family;
  Lab lab;
  const Endpoint vip = GetParam().masquerade ? Endpoint{Lab::gateway_address(Host::client, family), 443} : Lab::vip(443, family);
  TcpServer primary_health{lab, Host::primary, push_health_port, "primary"}, backup_health{lab, Host::backup, push_health_port, "backup"};
};
INSTANTIATE_TEST_SUITE_P(, ServerOpened,
                         testing::Values(PushCase{"Snat", Family::ipv4, false, "none", "443"},
                                         PushCase{"SnatIpv6", Family::ipv6, false, "none", "443"},
                                         PushCase{"Masquerade", Family::ipv4, true, "none", "443"},
                                         PushCase{"MasqueradeIpv6", Family::ipv6, true, "none", "443"},
                                         PushCase{"OfAServiceThatMasquerades", Family::ipv4, false, "masquerade", "443"},
                                         PushCase{"OfAServiceWithHairpin", Family::ipv4, false, "hairpin", "443"},
                                         PushCase{"OfARange", Family::ipv4, false, "none", "400-500"},
                                         PushCase{"OfEveryPort", Family::ipv6, false, "masquerade", "*"}),
                         [](const auto& test) { return test.param.name; });

TEST_P(ServerOpened, ItsUdpClientHearsTheNewServerAfterAFailoverAndAfterAForcedMove) {
  for (const bool forced : {false, true}) {
    Observer old_server{lab, Host::primary, SOCK_DGRAM, 443, family};
    const UdpServer new_server{lab, Host::backup, 443, "backup"};
    Hanatd hanatd{lab, config()};
    wait_until_both_are_up(hanatd);
    const std::uint16_t port = forced ? 40'001 : 40'000; // the flow of the other one stays in conntrack
    Sender client{lab, Host::client, vip, port};
    hanatd.wait_target("web", "primary");
    std::string pushed; // what the primary says is dropped until it is no longer a server that lost its traffic
    for (const auto end = TestClock::now() + milliseconds{5000}; pushed.empty() && TestClock::now() < end;) {
      old_server.say(Lab::endpoint(Host::client, port, family), "pushed");
      pushed = client.hear(milliseconds{100});
    }
    ASSERT_EQ(pushed, "pushed") << "from the virtual endpoint: the socket hears nobody else";
    client.send();
    ASSERT_TRUE(old_server.hear()) << "the reply of a flow that the server opened";
    if (forced)
      ASSERT_EQ(hanatd.ctl({"force-backup", "web"}).exit, 0);
    else
      primary_health.kill();
    hanatd.wait_target("web", "backup");
    EXPECT_EQ(hear_after_sending(client, "backup x"), "backup x");
    expect_cut(hanatd, Protocol::udp);
    primary_health.start();
  }
}

TEST_P(ServerOpened, ItsIdleTcpClientIsResetWhenTheServerFallsSilent) {
  const Fd listener = socket_at(lab, Host::client, SOCK_STREAM, 443, family);
  checked(listen(listener.get(), 10), "listen");
  const TcpServer new_server{lab, Host::backup, 443, "backup"};
  Hanatd hanatd{lab, config()};
  wait_until_both_are_up(hanatd);
  const Fd pushing = socket_at(lab, Host::primary, SOCK_STREAM, 443, family);
  const SocketAddress client_address = to_sockaddr(Lab::endpoint(Host::client, 443, family));
  checked(connect(pushing.get(), client_address.get(), client_address.length), "connect from the service's port");
  ASSERT_TRUE(readable_within(listener, milliseconds{1000}));
  const Fd client{checked(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept")};
  checked(static_cast<int>(send(pushing.get(), "pushed", 6, MSG_NOSIGNAL)), "send");
  std::array<char, 64> buffer;
  ASSERT_EQ(recv(client.get(), buffer.data(), buffer.size(), 0), 6);
  lab.silent(Host::primary, true);
  hanatd.wait_target("web", "backup");
  ASSERT_TRUE(readable_within(client, milliseconds{3000})) << "it still waits for the old server";
  EXPECT_EQ(recv(client.get(), buffer.data(), buffer.size(), 0), -1);
  EXPECT_EQ(errno, ECONNRESET);
  expect_cut(hanatd, Protocol::tcp);
  EXPECT_EQ(service(hanatd.status(), "web").last_flip.value().nudged, 1U);
}

} // namespace
} // namespace hanat::test
