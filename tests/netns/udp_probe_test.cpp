// The udp and dns kinds against scripted and real servers: silence, refusals, strangers, garbage.
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

#include "tests/netns/fd.hpp"
#include "tests/netns/probing.hpp"
#include "tests/netns/process.hpp"
#include "tests/netns/scripted.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using probes::Answer;
using probes::Kind;
using probes::Outcome;
using probes::Reason;

int udp_socket(const char* address) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const SocketAddress own = to_sockaddr(at(address, 0));
  if (bind(fd, own.get(), own.length) != 0) throw std::runtime_error("bind a UDP socket");
  return fd;
}

/// Does with each datagram what the test says, on a thread of its own.
class ScriptedUdp {
public:
  using Serve = std::function<void(int fd, const std::string& said, const sockaddr_in& from)>;
  explicit ScriptedUdp(Serve serve)
      : serve_(std::move(serve)), fd_(udp_socket("127.0.0.1")), over_(eventfd(0, EFD_CLOEXEC)), thread_([this] { run(); }) {}
  ~ScriptedUdp() {
    eventfd_write(over_, 1);
    thread_.join();
    close(fd_);
    close(over_);
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
      pollfd both[2] = {{.fd = fd_, .events = POLLIN, .revents = 0}, {.fd = over_, .events = POLLIN, .revents = 0}};
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
  int fd_, over_;
  std::thread thread_;
};

void send_back(int fd, const std::string& text, const sockaddr_in& to) {
  sendto(fd, text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
}

probes::Question udp_question(const Endpoint& server, const char* expect = nullptr) {
  auto question = tcp_question(server, 200ms);
  question.spec.kind = Kind::udp;
  question.spec.edit<probes::TalkSpec>().send = "ping\n";
  if (expect != nullptr) question.spec.edit<probes::TalkSpec>().expect = probes::Pattern::text(expect);
  return question;
}

TEST(ProbeUdp, AServerIsHeard) {
  isolated([] {
    ScriptedUdp server{[](int fd, const std::string& said, const sockaddr_in& from) { send_back(fd, "heard " + said, from); }};
    EXPECT_EQ(ask_once(udp_question(server.endpoint())).reason, Reason::answered);
    EXPECT_EQ(ask_once(udp_question(server.endpoint(), "heard ping")).reason, Reason::answered);
    const Answer wrong = ask_once(udp_question(server.endpoint(), "pong"));
    EXPECT_EQ(wrong.reason, Reason::wrong_answer);
    EXPECT_EQ(wrong.detail, "heard ping?");
    auto slow = udp_question(server.endpoint());
    slow.spec.slow = 1ns;
    EXPECT_EQ(ask_once(slow).reason, Reason::slow);
    auto foreign = udp_question(server.endpoint());
    foreign.spec.source = Address::parse("198.18.0.77");
    EXPECT_EQ(ask_once(foreign).reason, Reason::no_ports);
  });
}

TEST(ProbeUdp, AnEmptyDatagramIsAnAnswer) {
  isolated([] {
    ScriptedUdp server{[](int fd, const std::string&, const sockaddr_in& from) { send_back(fd, "", from); }};
    EXPECT_EQ(ask_once(udp_question(server.endpoint())).reason, Reason::answered);
    EXPECT_EQ(ask_once(udp_question(server.endpoint(), "x")).reason, Reason::wrong_answer);
  });
}

TEST(ProbeUdp, SilenceAndRefusalsAreTold) {
  isolated([] {
    ScriptedUdp silent{[](int, const std::string&, const sockaddr_in&) {}};
    const Answer none = ask_once(udp_question(silent.endpoint()));
    EXPECT_EQ(none.reason, Reason::timeout);
    EXPECT_TRUE(at_deadline(none.latency, 200ms));
    EXPECT_EQ(ask_once(udp_question(at("127.0.0.1", 9))).reason, Reason::refused);
    EXPECT_EQ(ask_once(udp_question(at("::1", 9))).reason, Reason::refused);
    EXPECT_EQ(ask_once(udp_question(at("198.18.0.1", 9))).reason, Reason::net_unreachable);
    shell("ip route add blackhole 198.18.1.0/24 && ip route add unreachable 198.18.2.0/24 && ip route add prohibit 198.18.3.0/24");
    EXPECT_EQ(ask_once(udp_question(at("198.18.1.1", 9))).reason, Reason::net_unreachable);
    EXPECT_EQ(ask_once(udp_question(at("198.18.2.1", 9))).reason, Reason::host_unreachable);
    EXPECT_EQ(ask_once(udp_question(at("198.18.3.1", 9))).reason, Reason::forbidden);
    shell("nft 'add table ip t; add chain ip t c { type filter hook output priority 0; }; add rule ip t c udp dport 9 drop'");
    EXPECT_EQ(ask_once(udp_question(at("127.0.0.1", 9))).reason, Reason::forbidden);
  });
}

TEST(ProbeUdp, AHostThatNobodyFindsIsUnreachable) {
  isolated([] {
    shell(
        "ip link add d0 type veth peer name d1 && ip link set d1 up && ip addr add 198.18.0.1/24 dev d0 && ip link set d0 up && sysctl -qw "
        "net.ipv4.neigh.d0.mcast_solicit=1 "
        "net.ipv4.neigh.d0.retrans_time_ms=50");
    auto question = udp_question(at("198.18.0.9", 9));
    question.spec.timeout = 2s;
    EXPECT_EQ(ask_once(question).reason, Reason::host_unreachable);
  });
}

// A stranger that guesses our port; the answer comes all the same.
TEST(ProbeUdp, AStrangersDatagramIsNotTaken) {
  isolated([] {
    ScriptedUdp server{[](int fd, const std::string&, const sockaddr_in& from) {
      const int stranger = udp_socket("127.0.0.2");
      for (std::size_t count = 0; count < 3; ++count) send_back(stranger, "evil", from);
      close(stranger);
      send_back(fd, "good", from);
    }};
    EXPECT_EQ(ask_once(udp_question(server.endpoint(), "good")).reason, Reason::answered);
  });
}

TEST(ProbeUdp, QuestionsAreCancelledAndAFloodIsSurvived) {
  isolated([] {
    ScriptedUdp flood{[](int fd, const std::string&, const sockaddr_in& from) {
      for (std::size_t count = 0; count < 300; ++count) send_back(fd, "x", from);
    }};
    Probing probing;
    for (std::size_t count = 0; count < 20; ++count)
      probing.engine->add(variant(udp_question(flood.endpoint()), count), {.interval = 5ms, .in_flight = 3}, 5ms);
    probing.run_for(100ms);
    EXPECT_GT(probing.heard.size(), 5U);
  });
}

probes::Question dns_question(const Endpoint& server, const char* name, const char* record = "A", const char* answer = "") {
  auto question = tcp_question(server, 300ms);
  question.spec.kind = Kind::dns;
  question.spec.edit<probes::DnsSpec>() = {.name = name, .record = record, .answer = answer};
  return question;
}

/// dnsmasq on 127.0.0.1:5353, with records of its own and nobody to ask.
class Dnsmasq {
public:
  Dnsmasq()
      : process_({"dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--port=5353",
                  "--listen-address=127.0.0.1", "--bind-interfaces", "--pid-file=", "--user=root", "--local=/example/",
                  "--host-record=a.example,192.0.2.1,2001:db8::1", "--cname=c.example,a.example", "--mx-host=example,mail.example,10",
                  "--txt-record=t.example,hello world", "--srv-host=_s._tcp.example,a.example,80,1,2", "--ptr-record=p.example,a.example"},
                 -1, -1) {
    Probing probing;
    probing.engine->add(dns_question(at("127.0.0.1", 5353), "a.example"), {.interval = 10ms}, 0s);
    const bool up = probing.run_until([&] { return !probing.heard.empty() && probing.heard.back().answer.outcome == Outcome::normal; }, 5s);
    if (!up) throw std::runtime_error("dnsmasq does not answer");
  }

private:
  Process process_;
};

TEST(ProbeDns, ARealServerIsAsked) {
  isolated([] {
    const Dnsmasq server;
    const auto ask_dns = [](const char* name, const char* record, const char* answer) {
      return ask_once(dns_question(at("127.0.0.1", 5353), name, record, answer));
    };
    EXPECT_EQ(ask_dns("a.example", "A", "192.0.2.1").reason, Reason::answered);
    EXPECT_EQ(ask_dns("A.Example.", "AAAA", "2001:DB8::1").reason, Reason::answered);
    EXPECT_EQ(ask_dns("c.example", "A", "192.0.2.1").reason, Reason::answered); // over the alias
    EXPECT_EQ(ask_dns("c.example", "CNAME", "a.example").reason, Reason::answered);
    EXPECT_EQ(ask_dns("example", "MX", "10 mail.example.").reason, Reason::answered);
    EXPECT_EQ(ask_dns("t.example", "TXT", "hello world").reason, Reason::answered);
    EXPECT_EQ(ask_dns("_s._tcp.example", "SRV", "1 2 80 a.example").reason, Reason::answered);
    EXPECT_EQ(ask_dns("p.example", "PTR", "a.example").reason, Reason::answered);
    const Answer other = ask_dns("a.example", "A", "192.0.2.2");
    EXPECT_EQ(other.reason, Reason::wrong_answer);
    EXPECT_EQ(other.detail, "192.0.2.1");
    EXPECT_EQ(ask_dns("a.example", "MX", "").detail, "no MX record");
    EXPECT_EQ(ask_dns("none.example", "A", "").detail, "NXDOMAIN");
    EXPECT_EQ(ask_dns("www.elsewhere.test", "A", "").detail, "REFUSED");
  });
}

TEST(ProbeDns, ForgedAnswersAreNotTakenAndSilenceIsTold) {
  isolated([] {
    const auto answered = [](const std::string& said, unsigned id_change) {
      std::string message = said;
      message[0] = static_cast<char>(message[0] ^ static_cast<char>(id_change));
      message.replace(2, 2, "\x81\x80"s);
      message.replace(6, 2, "\0\1"s);
      return message + "\xc0\x0c\0\1\0\1\0\0\0\0\0\4\xc0\0\2\1"s;
    };
    ScriptedUdp right{[&](int fd, const std::string& said, const sockaddr_in& from) {
      send_back(fd, said, from);              // our own question
      send_back(fd, answered(said, 1), from); // another id
      send_back(fd, "garbage", from);
      send_back(fd, answered(said, 0), from);
    }};
    EXPECT_EQ(ask_once(dns_question(right.endpoint(), "a.example", "A", "192.0.2.1")).reason, Reason::answered);
    ScriptedUdp wrong{[&](int fd, const std::string& said, const sockaddr_in& from) { send_back(fd, answered(said, 1), from); }};
    const Answer silent = ask_once(dns_question(wrong.endpoint(), "a.example"));
    EXPECT_EQ(silent.reason, Reason::timeout);
    EXPECT_EQ(silent.detail, "only datagrams that answer something else");
    ScriptedUdp broken{[&](int fd, const std::string& said, const sockaddr_in& from) {
      const auto message = answered(said, 0);
      send_back(fd, message.substr(0, message.size() - 2), from);
    }};
    EXPECT_EQ(ask_once(dns_question(broken.endpoint(), "a.example")).reason, Reason::garbled);
    EXPECT_EQ(ask_once(dns_question(at("127.0.0.1", 9), "a.example")).reason, Reason::refused);
  });
}

} // namespace
} // namespace hanat::test
