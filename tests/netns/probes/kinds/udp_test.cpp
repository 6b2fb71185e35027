// Kinds udp and dns with scripted and real servers: silence, refusals, spoofed and malformed datagrams.
// Not here: DNS messages (unit tests of kinds/dns_message).
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "tests/netns/lab/fd.hpp"
#include "tests/netns/lab/probing.hpp"
#include "tests/netns/lab/process.hpp"
#include "tests/netns/lab/scripted.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using probes::Kind;
using probes::Outcome;
using probes::ProbeResult;
using probes::Reason;

int udp_socket(const char* address) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const SocketAddress own = to_sockaddr(at(address, 0));
  if (bind(fd, own.get(), own.length) != 0) throw std::runtime_error("bind a UDP socket");
  return fd;
}

/// A UDP server whose behaviour a test scripts, on a thread of its own.
class ScriptedUdp {
public:
  using Serve = std::function<void(int fd, const std::string& request, const sockaddr_in& from)>;
  explicit ScriptedUdp(Serve serve)
      : serve_(std::move(serve)), fd_(udp_socket("127.0.0.1")), stop_(eventfd(0, EFD_CLOEXEC)), thread_([this] { run(); }) {}
  ~ScriptedUdp() {
    eventfd_write(stop_, 1);
    thread_.join();
    close(fd_);
    close(stop_);
  }
  ScriptedUdp(const ScriptedUdp&) = delete;
  ScriptedUdp& operator=(const ScriptedUdp&) = delete;
  Endpoint endpoint() const {
    sockaddr_in own{};
    socklen_t length = sizeof own;
    getsockname(fd_, reinterpret_cast<sockaddr*>(&own), &length);
    return at("127.0.0.1", ntohs(own.sin_port));
  }

private:
  void run() {
    for (;;) {
      pollfd both[2] = {{.fd = fd_, .events = POLLIN, .revents = 0}, {.fd = stop_, .events = POLLIN, .revents = 0}};
      poll(both, 2, -1);
      if (both[1].revents != 0) return;
      char buffer[2048];
      sockaddr_in from{};
      socklen_t length = sizeof from;
      const ssize_t count = recvfrom(fd_, buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &length);
      if (count >= 0) serve_(fd_, {buffer, static_cast<std::size_t>(count)}, from);
    }
  }
  Serve serve_;
  int fd_, stop_;
  std::thread thread_;
};

void send_back(int fd, const std::string& text, const sockaddr_in& to) {
  sendto(fd, text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
}

probes::Probe udp_probe(const Endpoint& server, const char* expect = nullptr) {
  auto probe = tcp_probe(server, 200ms);
  probe.spec.kind = Kind::udp;
  probe.spec.edit<probes::SendExpectSpec>().send = "ping\n";
  if (expect != nullptr) probe.spec.edit<probes::SendExpectSpec>().expect = probes::Pattern::text(expect);
  return probe;
}

TEST(ProbeUdp, AReplyIsReceived) {
  isolated([] {
    ScriptedUdp server{[](int fd, const std::string& request, const sockaddr_in& from) { send_back(fd, "got " + request, from); }};
    EXPECT_EQ(probe_once(udp_probe(server.endpoint())).reason, Reason::answered);
    EXPECT_EQ(probe_once(udp_probe(server.endpoint(), "got ping")).reason, Reason::answered);
    const ProbeResult wrong = probe_once(udp_probe(server.endpoint(), "pong"));
    EXPECT_EQ(wrong.reason, Reason::wrong_answer);
    EXPECT_EQ(wrong.detail, "got ping?");
    auto slow = udp_probe(server.endpoint());
    slow.spec.slow = 1ns;
    EXPECT_EQ(probe_once(slow).reason, Reason::slow);
    auto foreign = udp_probe(server.endpoint());
    foreign.spec.source = Address::parse("198.18.0.77");
    EXPECT_EQ(probe_once(foreign).reason, Reason::no_ports);
  });
}

TEST(ProbeUdp, AnEmptyDatagramIsAReply) {
  isolated([] {
    ScriptedUdp server{[](int fd, const std::string&, const sockaddr_in& from) { send_back(fd, "", from); }};
    EXPECT_EQ(probe_once(udp_probe(server.endpoint())).reason, Reason::answered);
    EXPECT_EQ(probe_once(udp_probe(server.endpoint(), "x")).reason, Reason::wrong_answer);
  });
}

TEST(ProbeUdp, SilenceAndRefusalsHaveReasons) {
  isolated([] {
    ScriptedUdp silent{[](int, const std::string&, const sockaddr_in&) {}};
    const ProbeResult none = probe_once(udp_probe(silent.endpoint()));
    EXPECT_EQ(none.reason, Reason::timeout);
    EXPECT_TRUE(at_deadline(none.latency, 200ms));
    EXPECT_EQ(probe_once(udp_probe(at("127.0.0.1", 9))).reason, Reason::refused);
    EXPECT_EQ(probe_once(udp_probe(at("::1", 9))).reason, Reason::refused);
    EXPECT_EQ(probe_once(udp_probe(at("198.18.0.1", 9))).reason, Reason::net_unreachable);
    shell("ip route add blackhole 198.18.1.0/24 && ip route add unreachable 198.18.2.0/24 && ip route add prohibit 198.18.3.0/24");
    EXPECT_EQ(probe_once(udp_probe(at("198.18.1.1", 9))).reason, Reason::net_unreachable);
    EXPECT_EQ(probe_once(udp_probe(at("198.18.2.1", 9))).reason, Reason::host_unreachable);
    EXPECT_EQ(probe_once(udp_probe(at("198.18.3.1", 9))).reason, Reason::forbidden);
    shell("nft 'add table ip t; add chain ip t c { type filter hook output priority 0; }; add rule ip t c udp dport 9 drop'");
    EXPECT_EQ(probe_once(udp_probe(at("127.0.0.1", 9))).reason, Reason::forbidden);
  });
}

TEST(ProbeUdp, AHostWithoutANeighbourEntryIsUnreachable) {
  isolated([] {
    shell(
        "ip link add d0 type veth peer name d1 && ip link set d1 up && ip addr add 198.18.0.1/24 dev d0 && ip link set d0 up && sysctl -qw "
        "net.ipv4.neigh.d0.mcast_solicit=1 "
        "net.ipv4.neigh.d0.retrans_time_ms=50");
    auto probe = udp_probe(at("198.18.0.9", 9));
    probe.spec.timeout = 2s;
    EXPECT_EQ(probe_once(probe).reason, Reason::host_unreachable);
  });
}

// A third host that guesses our port; the server still replies.
TEST(ProbeUdp, ADatagramOfAnotherHostIsIgnored) {
  isolated([] {
    ScriptedUdp server{[](int fd, const std::string&, const sockaddr_in& from) {
      const int other_host = udp_socket("127.0.0.2");
      for (std::size_t count = 0; count < 3; ++count) send_back(other_host, "evil", from);
      close(other_host);
      send_back(fd, "good", from);
    }};
    EXPECT_EQ(probe_once(udp_probe(server.endpoint(), "good")).reason, Reason::answered);
  });
}

TEST(ProbeUdp, AFloodIsSurvivedAndProbesAreCancelled) {
  isolated([] {
    ScriptedUdp flood{[](int fd, const std::string&, const sockaddr_in& from) {
      for (std::size_t count = 0; count < 300; ++count) send_back(fd, "x", from);
    }};
    Probing probing;
    for (std::size_t count = 0; count < 20; ++count)
      probing.scheduler->add(variant(udp_probe(flood.endpoint()), count), {.interval = 5ms, .in_flight = 3}, 5ms);
    EXPECT_TRUE(probing.run_until([&] { return probing.results.size() > 5; }));
  });
}

probes::Probe dns_probe(const Endpoint& server, const char* name, const char* record = "A", const char* answer = "") {
  auto probe = tcp_probe(server, 300ms);
  probe.spec.kind = Kind::dns;
  probe.spec.edit<probes::DnsSpec>() = {.name = name, .record = record, .answer = answer};
  return probe;
}

/// dnsmasq on 127.0.0.1:5353, with records of its own and no upstream server.
class Dnsmasq {
public:
  Dnsmasq()
      : process_({"dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--port=5353",
                  "--listen-address=127.0.0.1", "--bind-interfaces", "--pid-file=", "--user=root", "--local=/example/",
                  "--host-record=a.example,192.0.2.1,2001:db8::1", "--cname=c.example,a.example", "--mx-host=example,mail.example,10",
                  "--txt-record=t.example,hello world", "--srv-host=_s._tcp.example,a.example,80,1,2", "--ptr-record=p.example,a.example"},
                 -1, -1) {
    Probing probing;
    probing.scheduler->add(dns_probe(at("127.0.0.1", 5353), "a.example"), {.interval = 10ms}, 0s);
    const bool up =
        probing.run_until([&] { return !probing.results.empty() && probing.results.back().result.outcome == Outcome::pass; }, 30s);
    if (!up) throw std::runtime_error("dnsmasq does not respond");
  }

private:
  Process process_;
};

TEST(ProbeDns, ARealServerResponds) {
  isolated([] {
    const Dnsmasq server;
    const auto query = [](const char* name, const char* record, const char* answer) {
      return probe_once(dns_probe(at("127.0.0.1", 5353), name, record, answer));
    };
    EXPECT_EQ(query("a.example", "A", "192.0.2.1").reason, Reason::answered);
    EXPECT_EQ(query("A.Example.", "AAAA", "2001:DB8::1").reason, Reason::answered);
    EXPECT_EQ(query("c.example", "A", "192.0.2.1").reason, Reason::answered); // over the alias
    EXPECT_EQ(query("c.example", "CNAME", "a.example").reason, Reason::answered);
    EXPECT_EQ(query("example", "MX", "10 mail.example.").reason, Reason::answered);
    EXPECT_EQ(query("t.example", "TXT", "hello world").reason, Reason::answered);
    EXPECT_EQ(query("_s._tcp.example", "SRV", "1 2 80 a.example").reason, Reason::answered);
    EXPECT_EQ(query("p.example", "PTR", "a.example").reason, Reason::answered);
    const ProbeResult other = query("a.example", "A", "192.0.2.2");
    EXPECT_EQ(other.reason, Reason::wrong_answer);
    EXPECT_EQ(other.detail, "192.0.2.1");
    EXPECT_EQ(query("a.example", "MX", "").detail, "no MX record");
    EXPECT_EQ(query("none.example", "A", "").detail, "NXDOMAIN");
    EXPECT_EQ(query("www.elsewhere.test", "A", "").detail, "REFUSED");
  });
}

TEST(ProbeDns, ForgedResponsesAreIgnored) {
  isolated([] {
    const auto response_to = [](const std::string& request, unsigned id_change) {
      std::string message = request;
      message[0] = static_cast<char>(message[0] ^ static_cast<char>(id_change));
      message.replace(2, 2, "\x81\x80"s);
      message.replace(6, 2, "\0\1"s);
      return message + "\xc0\x0c\0\1\0\1\0\0\0\0\0\4\xc0\0\2\1"s;
    };
    ScriptedUdp right{[&](int fd, const std::string& request, const sockaddr_in& from) {
      send_back(fd, request, from);                 // the query itself
      send_back(fd, response_to(request, 1), from); // another id
      send_back(fd, "garbage", from);
      send_back(fd, response_to(request, 0), from);
    }};
    EXPECT_EQ(probe_once(dns_probe(right.endpoint(), "a.example", "A", "192.0.2.1")).reason, Reason::answered);
    ScriptedUdp wrong{[&](int fd, const std::string& request, const sockaddr_in& from) { send_back(fd, response_to(request, 1), from); }};
    const ProbeResult silent = probe_once(dns_probe(wrong.endpoint(), "a.example"));
    EXPECT_EQ(silent.reason, Reason::timeout);
    EXPECT_EQ(silent.detail, "only datagrams that are no reply to this probe");
    ScriptedUdp broken{[&](int fd, const std::string& request, const sockaddr_in& from) {
      const auto message = response_to(request, 0);
      send_back(fd, message.substr(0, message.size() - 2), from);
    }};
    EXPECT_EQ(probe_once(dns_probe(broken.endpoint(), "a.example")).reason, Reason::garbled);
    EXPECT_EQ(probe_once(dns_probe(at("127.0.0.1", 9), "a.example")).reason, Reason::refused);
  });
}

} // namespace
} // namespace hanat::test
