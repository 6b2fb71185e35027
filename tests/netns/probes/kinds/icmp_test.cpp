// Kind icmp with the kernel's own replies and forged ones. Not here: parsing (unit tests of kinds/icmp_message).
#include <functional>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "probes/kinds/icmp_message.hpp"
#include "tests/netns/lab/probing.hpp"
#include "tests/netns/lab/scripted.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using probes::Kind;
using probes::Outcome;
using probes::ProbeResult;
using probes::Reason;

probes::Probe icmp_probe(const char* address, std::chrono::milliseconds timeout = 200ms) {
  auto probe = tcp_probe(at(address, 0), timeout);
  probe.spec.kind = Kind::icmp;
  return probe;
}

TEST(ProbeIcmp, AHostReplies) {
  isolated([] {
    for (const char* address : {"127.0.0.1", "127.0.0.9", "::1"}) {
      const ProbeResult result = probe_once(icmp_probe(address));
      EXPECT_EQ(result.reason, Reason::answered) << address << ' ' << to_text(result.reason) << result.detail;
    }
    auto slow = icmp_probe("127.0.0.1");
    slow.spec.slow = 1ns;
    EXPECT_EQ(probe_once(slow).reason, Reason::slow);
  });
}

TEST(ProbeIcmp, SourceAndInterfaceAreUsed) {
  isolated([] {
    shell("ip addr add 198.18.0.1/32 dev lo && ip -6 addr add fd00::1/128 dev lo nodad && nft 'add table inet t; add chain inet t c { type "
          "filter hook input "
          "priority 0; }; add rule inet t c icmp type echo-request ip saddr != 198.18.0.1 drop; add rule inet t c icmpv6 type echo-request "
          "ip6 "
          "saddr != fd00::1 drop'");
    for (const auto& [address, source] : {std::pair{"127.0.0.1", "198.18.0.1"}, {"::1", "fd00::1"}}) {
      auto probe = icmp_probe(address, 100ms);
      EXPECT_EQ(probe_once(probe).reason, Reason::timeout);
      probe.spec.source = Address::parse(source);
      EXPECT_EQ(probe_once(probe).reason, Reason::answered) << source;
      probe.spec.interface = "lo";
      EXPECT_EQ(probe_once(probe).reason, Reason::answered) << source;
      probe.spec.interface = "none0";
      EXPECT_EQ(probe_once(probe).outcome, Outcome::inconclusive);
    }
  });
}

TEST(ProbeIcmp, RoutesAndFirewallsHaveReasons) {
  isolated([] {
    EXPECT_EQ(probe_once(icmp_probe("198.18.0.1")).reason, Reason::net_unreachable);
    shell("ip route add blackhole 198.18.1.0/24 && ip route add unreachable 198.18.2.0/24 && ip route add prohibit 198.18.3.0/24");
    EXPECT_EQ(probe_once(icmp_probe("198.18.1.1")).reason, Reason::net_unreachable);
    EXPECT_EQ(probe_once(icmp_probe("198.18.2.1")).reason, Reason::host_unreachable);
    EXPECT_EQ(probe_once(icmp_probe("198.18.3.1")).reason, Reason::forbidden);
    shell("nft 'add table inet t; add chain inet t c { type filter hook output priority 0; }; add rule inet t c icmp type echo-request "
          "drop'");
    EXPECT_EQ(probe_once(icmp_probe("127.0.0.1")).reason, Reason::forbidden);
    shell("nft 'flush chain inet t c; add chain inet t i { type filter hook input priority 0; }; add rule inet t i icmp type echo-request "
          "reject with "
          "icmp admin-prohibited; add rule inet t i icmpv6 type echo-request reject with icmpv6 no-route'");
    const ProbeResult prohibited = probe_once(icmp_probe("127.0.0.1"));
    EXPECT_EQ(prohibited.reason, Reason::host_unreachable);
    EXPECT_EQ(prohibited.detail, "administratively prohibited");
    EXPECT_EQ(probe_once(icmp_probe("::1")).reason, Reason::net_unreachable);
  });
}

TEST(ProbeIcmp, AHostWithoutANeighbourEntryIsUnreachable) {
  isolated([] {
    shell("ip link add d0 type veth peer name d1 && ip addr add 198.18.0.1/24 dev d0 && ip addr add fd00::1/64 dev d0 nodad && ip link set "
          "d0 up && "
          "ip link set d1 up && sysctl -qw net.ipv4.neigh.d0.mcast_solicit=1 net.ipv4.neigh.d0.retrans_time_ms=50 "
          "net.ipv6.neigh.d0.mcast_solicit=1 net.ipv6.neigh.d0.retrans_time_ms=50");
    EXPECT_EQ(probe_once(icmp_probe("198.18.0.9", 2s)).reason, Reason::host_unreachable);
    EXPECT_EQ(probe_once(icmp_probe("fd00::9", 2s)).reason, Reason::host_unreachable);
  });
}

TEST(ProbeIcmp, WithoutTheCapabilityItIsInconclusive) {
  isolated([] {
    // Of this thread alone: the kernel's call, not libc's for all threads.
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    __user_cap_data_struct rights[_LINUX_CAPABILITY_U32S_3]{};
    ASSERT_EQ(syscall(SYS_capget, &header, rights), 0);
    rights[0].effective &= ~(1U << CAP_NET_RAW);
    ASSERT_EQ(syscall(SYS_capset, &header, rights), 0);
    const ProbeResult result = probe_once(icmp_probe("127.0.0.1"));
    EXPECT_EQ(result.outcome, Outcome::inconclusive);
    EXPECT_EQ(result.reason, Reason::forbidden);
  });
}

/// Receives every echo request on loopback instead of the kernel, and sends what the test wants.
class Forger {
public:
  using Forge = std::function<void(Forger&, const std::string& request)>;
  explicit Forger(Forge forge)
      : forge_(std::move(forge)), raw_(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP)), stop_(eventfd(0, EFD_CLOEXEC)) {
    shell("sysctl -qw net.ipv4.icmp_echo_ignore_all=1");
    thread_ = std::thread([this] { run(); });
  }
  ~Forger() {
    eventfd_write(stop_, 1);
    thread_.join();
    close(raw_);
    close(stop_);
  }
  Forger(const Forger&) = delete;
  Forger& operator=(const Forger&) = delete;

  /// From 127.0.0.1.
  void send(std::string message) const {
    message[2] = message[3] = 0;
    std::uint32_t sum = 0;
    for (std::size_t index = 0; index < message.size(); ++index)
      sum += static_cast<std::uint32_t>(static_cast<std::uint8_t>(message[index])) << (index % 2 == 0 ? 8 : 0);
    while (sum >> 16 != 0) sum = (sum & 0xffffU) + (sum >> 16);
    message[2] = static_cast<char>(~sum >> 8);
    message[3] = static_cast<char>(~sum);
    const SocketAddress to = to_sockaddr(at("127.0.0.1", 0));
    sendto(raw_, message.data(), message.size(), 0, to.get(), to.length);
  }

private:
  void run() {
    for (;;) {
      pollfd both[2] = {{.fd = raw_, .events = POLLIN, .revents = 0}, {.fd = stop_, .events = POLLIN, .revents = 0}};
      poll(both, 2, -1);
      if (both[1].revents != 0) return;
      char buffer[2048];
      const ssize_t count = recv(raw_, buffer, sizeof buffer, 0);
      if (count > 20 && buffer[20] == 8) forge_(*this, {buffer, static_cast<std::size_t>(count)});
    }
  }
  Forge forge_;
  int raw_, stop_;
  std::thread thread_;
};

/// The reply to a request that stands behind its IP header.
std::string reply_to(const std::string& request) {
  std::string message = request.substr(20);
  message[0] = 0;
  return message;
}
std::string unreachable_about(const std::string& quoted) { return std::string{3, 1} + std::string(6, '\0') + quoted; }

TEST(ProbeIcmp, ForgedMessagesAreIgnored) {
  isolated([] {
    Forger forger{[](Forger& self, const std::string& request) {
      const auto changed = [](std::string text, std::size_t at_byte) {
        text[at_byte] = static_cast<char>(text[at_byte] ^ 1);
        return text;
      };
      for (const std::size_t at_byte : {4U, 6U, 8U}) self.send(changed(reply_to(request), at_byte)); // another id, sequence, token
      for (const std::size_t at_byte : {19U, 24U, 26U, 28U, 20U})
        self.send(unreachable_about(changed(request, at_byte))); // to another host, ...
      self.send(unreachable_about(request.substr(0, 27)));
      self.send(reply_to(request).substr(0, 12));
      self.send(std::string(8, '\0'));
    }};
    const ProbeResult silent = probe_once(icmp_probe("127.0.0.1", 150ms));
    EXPECT_EQ(silent.reason, Reason::timeout);
    EXPECT_TRUE(at_deadline(silent.latency, 150ms));
  });
}

TEST(ProbeIcmp, AReplyOfAnotherHostIsIgnoredAndAGenuineErrorIsNot) {
  isolated([] {
    {
      Forger forger{[](Forger& self, const std::string& request) { self.send(reply_to(request)); }};
      EXPECT_EQ(probe_once(icmp_probe("127.0.0.1", 150ms)).reason, Reason::answered);
      EXPECT_EQ(probe_once(icmp_probe("127.0.0.2", 150ms)).reason, Reason::timeout); // 127.0.0.1 replied
    }
    Forger router{[](Forger& self, const std::string& request) { self.send(unreachable_about(request)); }};
    EXPECT_EQ(probe_once(icmp_probe("127.0.0.2", 150ms)).reason, Reason::host_unreachable);
  });
}

TEST(ProbeIcmp, AllProbesShareOneSocketAndAreCancelled) {
  isolated([] {
    shell("sysctl -qw net.ipv4.icmp_echo_ignore_all=1");
    Probing probing;
    std::vector<probes::ProbeId> ids;
    for (std::size_t count = 0; count < 100; ++count)
      ids.push_back(probing.scheduler->add(variant(icmp_probe("127.0.0.1", 5s), count), {.interval = 60s}, 10ms));
    ASSERT_TRUE(probing.run_until([&] { return probing.scheduler->in_flight() == 100; }));
    shell("test $(tail -n +2 /proc/thread-self/net/raw | wc -l) -eq 1");
    for (const auto id : ids) probing.scheduler->remove(id);
    shell("test $(tail -n +2 /proc/thread-self/net/raw | wc -l) -eq 0");
    EXPECT_TRUE(probing.results.empty());
  });
}

TEST(ProbeIcmp, AThousandProbesASecondPass) {
  isolated([] {
    Probing probing;
    for (std::size_t count = 0; count < 1000; ++count)
      probing.scheduler->add(variant(icmp_probe("127.0.0.1", 500ms), count), {.interval = 1s}, 1s);
    EXPECT_TRUE(probing.run_until([&] { return probing.results.size() >= 1'500; }));
    print_lateness(probing, "1,000 icmp probes a second");
    for (const auto& received : probing.results) EXPECT_EQ(received.result.outcome, Outcome::pass);
  });
}

} // namespace
} // namespace hanat::test
