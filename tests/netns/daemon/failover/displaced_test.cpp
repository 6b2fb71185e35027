// A server that is alive, speaks first and has lost its traffic. The gateway's operator gives its packets the service's address, so the
// entry of the flow is the server's: with the server's next packet the flow would be back, and the client's packets would follow it.
#include <array>
#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "nat/nftables/table.hpp"
#include "tests/netns/lab/fd.hpp"
#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"
#include "tests/netns/lab/sctp.hpp"
#include "tests/netns/lab/segments.hpp"

namespace hanat::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::uint16_t client_port = 40'000;

/// Sends its name to the client every few milliseconds, from its service's port.
class Speaker {
public:
  Speaker(Lab& lab, Host host, const std::string& name, std::uint16_t port, Family family)
      : socket_(lab.socket(host, family == Family::ipv4 ? AF_INET : AF_INET6, SOCK_DGRAM)) {
    const SocketAddress from = to_sockaddr(Lab::endpoint(host, port, family));
    const SocketAddress to = to_sockaddr(Lab::endpoint(Host::client, client_port, family));
    checked(bind(socket_.get(), from.get(), from.length), "bind the speaker");
    thread_ = std::thread([this, name, to] {
      while (!ending_) {
        sendto(socket_.get(), name.data(), name.size(), 0, to.get(), to.length);
        std::this_thread::sleep_for(milliseconds{5});
      }
    });
  }
  ~Speaker() {
    ending_ = true;
    thread_.join();
  }
  Speaker(const Speaker&) = delete;
  Speaker& operator=(const Speaker&) = delete;

private:
  Fd socket_;
  std::atomic<bool> ending_ = false;
  std::thread thread_;
};

/// Connected to the service: it hears nobody but the service's address.
class Listener {
public:
  Listener(Lab& lab, const Endpoint& vip)
      : socket_(lab.socket(Host::client, vip.address.family() == Family::ipv4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK)) {
    const SocketAddress own = to_sockaddr(Lab::endpoint(Host::client, client_port, vip.address.family()));
    const SocketAddress to = to_sockaddr(vip);
    checked(bind(socket_.get(), own.get(), own.length), "bind the listener");
    checked(connect(socket_.get(), to.get(), to.length), "connect the listener");
  }
  void ask() { send(socket_.get(), "who", 3, MSG_NOSIGNAL); }
  /// Whether it hears that server within a time; what others say is skipped.
  bool hears(const std::string& name, milliseconds time) {
    for (const auto end = TestClock::now() + time; TestClock::now() < end;) {
      pollfd polled{.fd = socket_.get(), .events = POLLIN, .revents = 0};
      if (poll(&polled, 1, 5) > 0 && next() == name) return true;
    }
    return false;
  }
  void forget() {
    while (!next().empty()) {
    }
  }

private:
  std::string next() {
    std::array<char, 100> buffer;
    const ssize_t got = recv(socket_.get(), buffer.data(), buffer.size(), 0);
    const std::string said(buffer.data(), got < 0 ? 0 : static_cast<std::size_t>(got));
    return said.substr(0, said.find(' '));
  }
  Fd socket_;
};

struct SpeakingParameters {
  const char* name;
  Family family;
  bool range;
};
class SpeakingServers : public testing::TestWithParam<SpeakingParameters> {
protected:
  Family family() const { return GetParam().family; }
  std::uint16_t port() const { return 5060; }
  Endpoint vip() const { return Lab::vip(port(), family()); }

  /// The primary has the traffic and speaks to the client in the service's name.
  void begin(const std::string& on_forced) {
    const bool v4 = family() == Family::ipv4;
    const std::string address = v4 ? "203.0.113.10" : "2001:db8::10";
    lab.must(Host::gateway,
             fmt::format("nft -f - <<'END'\ntable inet operators {{\n  chain s {{\n    type nat hook postrouting priority 100; "
                         "oifname \"to-client\" meta l4proto udp {0} saddr {1} snat {0} to {2}\n  }}\n}}\nEND",
                         v4 ? "ip" : "ip6", v4 ? "198.18.0.0/15" : "fd00::/16", address));
    FastService service{.listen = (v4 ? address : "[" + address + "]") + (GetParam().range ? ":5000-7000/udp" : ":5060/udp"),
                        .port = GetParam().range ? std::uint16_t{0} : port(),
                        .family = family(),
                        .probe = "type = \"tcp\", port = 8443",
                        .extra = fmt::format("on_forced = \"{}\"", on_forced)};
    hanatd.emplace(lab, fast_service(service));
    hanatd->wait_target("web", "primary");
    speaker.emplace(lab, Host::primary, "primary", port(), family());
    listener.emplace(lab, vip());
    ASSERT_TRUE(listener->hears("primary", milliseconds{3000}));
    ASSERT_THAT(entries(), HasSubstr(Lab::address(Host::primary, family()).text())) << "the flow is the server's";
  }
  /// UDP entries that the primary began.
  std::string entries() {
    return lab.must(Host::gateway, fmt::format("conntrack -L -f {} -p udp --orig-src {} 2>/dev/null",
                                               family() == Family::ipv4 ? "ipv4" : "ipv6", Lab::address(Host::primary, family()).text()));
  }
  void force_backup() {
    ASSERT_EQ(hanatd->ctl({"force-backup", "web"}).exit, 0);
    hanatd->wait_target("web", "backup");
  }
  /// As a cut that knows flows by either direction does. (`conntrack -D` fails when it finds none.)
  void delete_entries() {
    lab.run(Host::gateway, fmt::format("conntrack -D -f {} -p udp --orig-src {}", family() == Family::ipv4 ? "ipv4" : "ipv6",
                                       Lab::address(Host::primary, family()).text()));
  }

  Lab lab{{.vip_local = true}};
  TcpServer primary_probe{lab, Host::primary, 8443, "primary"}, backup_probe{lab, Host::backup, 8443, "backup"};
  UdpServer backup{lab, Host::backup, 5060, "backup"};
  std::optional<Hanatd> hanatd;
  std::optional<Speaker> speaker;
  std::optional<Listener> listener;
};
INSTANTIATE_TEST_SUITE_P(, SpeakingServers,
                         testing::Values(SpeakingParameters{"IPv4", Family::ipv4, false}, SpeakingParameters{"IPv6", Family::ipv6, false},
                                         SpeakingParameters{"IPv4Range", Family::ipv4, true},
                                         SpeakingParameters{"IPv6Range", Family::ipv6, true}),
                         [](const auto& one) { return one.param.name; });

TEST_P(SpeakingServers, ThatLostTheirTrafficDoNotBringTheFlowBack) {
  begin("reset");
  force_backup();
  delete_entries();
  listener->forget();
  listener->ask();
  EXPECT_TRUE(listener->hears("backup", milliseconds{1000})) << "the client's datagram goes to the new server";
  for (int question = 0; question < 20; ++question) {
    listener->ask();
    EXPECT_FALSE(listener->hears("primary", milliseconds{10}));
  }
  EXPECT_EQ(entries(), "");
  hanatd->kill9();
  hanatd->start();
  hanatd->wait_target("web", "backup");
  EXPECT_FALSE(listener->hears("primary", milliseconds{100})) << "nor after a restart";
  ASSERT_EQ(hanatd->ctl({"force-primary", "web"}).exit, 0);
  hanatd->wait_target("web", "primary");
  EXPECT_TRUE(listener->hears("primary", milliseconds{3000})) << "it has the traffic again, and may speak";
}

TEST_P(SpeakingServers, WhoseFlowsAreKeptMayOpenNewOnes) {
  begin("keep");
  force_backup();
  delete_entries();
  listener->forget();
  EXPECT_TRUE(listener->hears("primary", milliseconds{1000}));
  EXPECT_NE(entries(), "");
}

class DisplacedEndpoints : public testing::TestWithParam<Family> {
protected:
  /// The first packet of a flow of each protocol, from a port of the primary to the client.
  void speak_from(std::uint16_t port) {
    const Endpoint from = Lab::endpoint(Host::primary, port, GetParam()), to = Lab::endpoint(Host::client, client_port, GetParam());
    send_segment(lab, Host::primary, {.from = from, .to = to, .sequence = 1, .acknowledged = 0, .flags = TH_SYN});
    SctpClient{lab, Host::primary, to, port}.connect(milliseconds{20});
    const Speaker udp{lab, Host::primary, "primary", port, GetParam()};
    std::this_thread::sleep_for(milliseconds{20});
  }
  /// Flows that the primary began from that port.
  std::size_t flows_from(std::uint16_t port) {
    const std::string listed =
        lab.must(Host::gateway, fmt::format("conntrack -L -f {} --orig-src {} 2>/dev/null", GetParam() == Family::ipv4 ? "ipv4" : "ipv6",
                                            Lab::address(Host::primary, GetParam()).text()));
    const std::string sport = fmt::format("sport={} dport={}", port, client_port);
    std::size_t found = 0;
    for (auto at = listed.find(sport); at != std::string::npos; at = listed.find(sport, at + 1)) ++found;
    return found;
  }
  Lab lab;
};
INSTANTIATE_TEST_SUITE_P(, DisplacedEndpoints, testing::Values(Family::ipv4, Family::ipv6),
                         [](const auto& one) { return one.param == Family::ipv4 ? "IPv4" : "IPv6"; });

TEST_P(DisplacedEndpoints, OpenNoFlowOfAnyProtocol) {
  constexpr std::uint16_t displaced = 8443, in_range = 9100, other = 8444;
  nat::EndpointMap endpoints;
  for (const Protocol protocol : {Protocol::tcp, Protocol::udp, Protocol::sctp}) {
    const Address primary = Lab::address(Host::primary, GetParam());
    endpoints[{.address = primary, .protocol = protocol, .port = displaced}] = "web";
    endpoints[{.address = primary, .protocol = protocol, .port = 9000, .last = 9999}] = "web";
  }
  nat::NftTable table = lab.in(Host::gateway, [&] {
    nat::NftTable made{"hanat", nat::Ownership::shared};
    made.load({});
    made.set_endpoints(nat::SetKind::displaced, endpoints);
    return made;
  });
  lab.silent(Host::client, true); // its reset would delete the entry
  for (const std::uint16_t port : {displaced, in_range, other}) speak_from(port);
  EXPECT_EQ(flows_from(displaced), 0U);
  EXPECT_EQ(flows_from(in_range), 0U);
  EXPECT_EQ(flows_from(other), 3U);
  table.set_endpoints(nat::SetKind::displaced, {});
  speak_from(displaced);
  EXPECT_EQ(flows_from(displaced), 3U);
}

} // namespace
} // namespace hanat::test
