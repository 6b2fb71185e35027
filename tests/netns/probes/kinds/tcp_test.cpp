// Kind tcp and the errors of sockets, with the real kernel.
#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/netns/lab/probing.hpp"
#include "tests/netns/lab/scripted.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using probes::Outcome;
using probes::ProbeResult;
using probes::Reason;

/// Sockets of this namespace in TIME_WAIT.
int time_waits() {
  int count = 0;
  for (const char* file : {"/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"}) {
    std::ifstream table{file};
    for (std::string line; std::getline(table, line);)
      if (line.size() > 36 && line.find(" 06 ", 20) != std::string::npos) ++count;
  }
  return count;
}

void drop(const std::string& hook, const std::string& match) {
  shell("nft 'add table inet t; add chain inet t c { type filter hook " + hook + " priority 0; }; add rule inet t c " + match + "'");
}

TEST(ProbeTcp, AListenerConnectsAndTheProbeClosesWithReset) {
  isolated([] {
    std::promise<bool> reset;
    ScriptedServer server{[&](Client& client) { reset.set_value(client.read_until_reset()); }};
    const ProbeResult result = probe_once(tcp_probe(server.endpoint()));
    EXPECT_EQ(result.outcome, Outcome::pass);
    EXPECT_EQ(result.reason, Reason::connected);
    EXPECT_LT(result.latency, noise);
    EXPECT_TRUE(reset.get_future().get());
    EXPECT_EQ(time_waits(), 0);
  });
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd"}) count += entry.is_symlink() ? 1U : 0U;
  return count;
}

/// Its socket is used again, and each probe is another connection all the same, which ends with a reset.
TEST(ProbeTcp, ManyProbesAreAsManyConnectionsAndTakeFewSockets) {
  isolated([] {
    for (const char* address : {"127.0.0.1", "::1"}) {
      std::atomic<unsigned> resets = 0;
      ScriptedServer server{[&](Client& client) { resets += client.read_until_reset() ? 1U : 0U; }, address};
      Probing probing;
      probing.scheduler->add(tcp_probe(server.endpoint()), {.interval = 2ms, .in_flight = 3}, 0s);
      ASSERT_TRUE(probing.run_until([&] { return probing.results.size() >= 5; }));
      const std::size_t before = open_descriptors();
      ASSERT_TRUE(probing.run_until([&] { return probing.results.size() >= 105; }));
      EXPECT_LE(open_descriptors(), before + 20) << "those of the server's threads come and go";
      for (const auto& received : probing.results) EXPECT_EQ(received.result.reason, Reason::connected);
      EXPECT_TRUE(probing.run_until([&] { return server.connections() >= 105U; }));
      EXPECT_TRUE(probing.run_until([&] { return resets >= 105U; }));
      EXPECT_EQ(time_waits(), 0);
    }
  });
}

TEST(ProbeTcp, AfterConnectionsThatWereMadeRefusalsAndSilenceAreSeenAsBefore) {
  isolated([] {
    auto server = std::make_unique<ScriptedServer>([](Client& client) { client.read_until_reset(); });
    const Endpoint endpoint = server->endpoint();
    Probing probing;
    probing.scheduler->add(tcp_probe(endpoint, 50ms), {.interval = 10ms}, 0s);
    const auto last_is = [&](Reason reason) {
      return probing.run_until([&] { return !probing.results.empty() && probing.results.back().result.reason == reason; });
    };
    ASSERT_TRUE(last_is(Reason::connected));
    const std::string port = std::to_string(endpoint.port);
    drop("input", "tcp dport " + port + " drop");
    ASSERT_TRUE(last_is(Reason::timeout));
    shell("nft delete table inet t");
    ASSERT_TRUE(last_is(Reason::connected));
    server.reset();
    ASSERT_TRUE(last_is(Reason::refused));
    for (const auto& received : probing.results)
      EXPECT_TRUE(received.result.reason == Reason::connected || received.result.outcome == Outcome::fail) << received.result.detail;
  });
}

TEST(ProbeTcp, Ipv6Works) {
  isolated([] {
    ScriptedServer server{{}, "::1"};
    EXPECT_EQ(probe_once(tcp_probe(server.endpoint())).reason, Reason::connected);
  });
}

TEST(ProbeTcp, AClosedPortIsRefusedAtOnce) {
  isolated([] {
    for (const char* address : {"127.0.0.1", "::1"}) {
      const ProbeResult result = probe_once(tcp_probe(at(address, 9)));
      EXPECT_EQ(result.outcome, Outcome::fail);
      EXPECT_EQ(result.reason, Reason::refused);
      EXPECT_LT(result.latency, noise);
    }
  });
}

TEST(ProbeTcp, ASilentServerTimesOutAtTheDeadline) {
  isolated([] {
    ScriptedServer server{{}};
    drop("input", "tcp dport " + std::to_string(server.endpoint().port) + " drop");
    for (const auto timeout : {5ms, 50ms, 400ms}) {
      const ProbeResult result = probe_once(tcp_probe(server.endpoint(), timeout));
      EXPECT_EQ(result.outcome, Outcome::fail);
      EXPECT_EQ(result.reason, Reason::timeout);
      EXPECT_TRUE(at_deadline(result.latency, timeout));
    }
  });
}

TEST(ProbeTcp, NoRouteIsKnownAtOnce) {
  isolated([] {
    for (const char* address : {"198.18.0.1", "2001:db8::1"}) {
      const ProbeResult result = probe_once(tcp_probe(at(address, 80)));
      EXPECT_EQ(result.outcome, Outcome::fail);
      EXPECT_EQ(result.reason, Reason::net_unreachable);
      EXPECT_LT(result.latency, noise);
    }
  });
}

TEST(ProbeTcp, ABlackholeRouteIsNoRoute) {
  isolated([] {
    shell("ip route add blackhole 198.18.0.0/24 && ip route add blackhole 2001:db8::/32");
    for (const char* address : {"198.18.0.1", "2001:db8::1"})
      for (const auto kind : {probes::Kind::tcp, probes::Kind::http}) {
        const ProbeResult result = probe_once(http_probe(at(address, 80), 300ms, kind));
        EXPECT_EQ(result.reason, Reason::net_unreachable) << address << ' ' << to_text(result.reason) << ' ' << result.detail;
      }
  });
}

TEST(ProbeTcp, AnUnreachableRouteIsAnUnreachableHost) {
  isolated([] {
    shell("ip route add unreachable 198.18.0.0/24");
    EXPECT_EQ(probe_once(tcp_probe(at("198.18.0.1", 80))).reason, Reason::host_unreachable);
  });
}

TEST(ProbeTcp, AnIcmpErrorIsTheReason) {
  isolated([] {
    drop("input", "tcp dport 81 reject with icmp type host-unreachable");
    shell("nft 'add rule inet t c tcp dport 82 reject with icmp type port-unreachable; add rule inet t c tcp dport 83 reject with icmpv6 "
          "type "
          "admin-prohibited; add rule inet t c tcp dport 84 reject with tcp reset'");
    EXPECT_EQ(probe_once(tcp_probe(at("127.0.0.1", 81))).reason, Reason::host_unreachable);
    EXPECT_EQ(probe_once(tcp_probe(at("127.0.0.1", 82))).reason, Reason::refused);
    EXPECT_EQ(probe_once(tcp_probe(at("::1", 83), 2s)).reason,
              Reason::host_unreachable); // the errno is EACCES; on loopback after the second SYN
    EXPECT_EQ(probe_once(tcp_probe(at("::1", 84))).reason, Reason::refused);
  });
}

TEST(ProbeTcp, AProhibitRouteOfOurOwnIsInconclusive) {
  isolated([] {
    shell("ip route add prohibit 198.18.0.0/24");
    const ProbeResult result = probe_once(tcp_probe(at("198.18.0.1", 80)));
    EXPECT_EQ(result.outcome, Outcome::inconclusive);
    EXPECT_EQ(result.reason, Reason::forbidden);
  });
}

// The kernel does not report that its own firewall dropped the SYN: connect() sends it again.
TEST(ProbeTcp, ADropInOurOwnOutputIsATimeout) {
  isolated([] {
    drop("output", "tcp dport 80 drop");
    EXPECT_EQ(probe_once(tcp_probe(at("127.0.0.1", 80), 100ms)).reason, Reason::timeout);
  });
}

TEST(ProbeTcp, AForeignSourceIsInconclusive) {
  isolated([] {
    auto probe = tcp_probe(at("127.0.0.1", 80));
    probe.spec.source = Address::parse("198.18.0.77");
    const ProbeResult result = probe_once(probe);
    EXPECT_EQ(result.outcome, Outcome::inconclusive);
    EXPECT_EQ(result.reason, Reason::no_ports);
  });
}

TEST(ProbeTcp, TheSourceIsUsed) {
  isolated([] {
    std::promise<std::string> peer;
    ScriptedServer server{[&](Client& client) { peer.set_value(client.peer().text()); }};
    auto probe = tcp_probe(server.endpoint());
    probe.spec.source = Address::parse("127.0.0.77");
    EXPECT_EQ(probe_once(probe).reason, Reason::connected);
    EXPECT_EQ(peer.get_future().get(), "127.0.0.77");
  });
}

TEST(ProbeTcp, RunningOutOfDescriptorsIsInconclusiveUntilThereAreSome) {
  isolated([] {
    ScriptedServer server{{}};
    Probing probing;
    auto probe = tcp_probe(server.endpoint());
    probe.spec.source = Address::parse("127.0.0.1"); // others have the socket that they had before
    probing.scheduler->add(probe, {.interval = 20ms}, 0s);
    ASSERT_TRUE(probing.run_until([&] { return probing.results.size() == 1; }));
    EXPECT_EQ(probing.results[0].result.outcome, Outcome::pass);

    {
      const NoDescriptors none;
      ASSERT_TRUE(probing.run_until([&] { return probing.results.size() >= 4; }));
    }
    EXPECT_EQ(probing.results[3].result.outcome, Outcome::inconclusive);
    EXPECT_EQ(probing.results[3].result.reason, Reason::no_descriptors);

    probing.results.clear();
    ASSERT_TRUE(probing.run_until([&] { return probing.results.size() >= 2; }));
    EXPECT_EQ(probing.results[1].result.outcome, Outcome::pass);
  });
}

TEST(ProbeTcp, AConnectionLaterThanSlowIsAFailOfACriticalProbe) {
  isolated([] {
    ScriptedServer server{{}};
    auto probe = tcp_probe(server.endpoint());
    probe.spec.slow = 1ns;
    probe.spec.critical = true;
    // Time since the server's last packet, in whole milliseconds, is not the server's: it may be all that a probe took on a busy machine.
    ProbeResult result = probe_once(probe);
    for (int tries = 0; tries < 20 && result.outcome != Outcome::fail; ++tries) result = probe_once(probe);
    EXPECT_EQ(result.outcome, Outcome::fail);
    EXPECT_EQ(result.reason, Reason::slow);
  });
}

TEST(ProbeTcp, AConnectionMadeDuringASuspensionIsTimedByTheKernel) {
  isolated([] {
    ScriptedServer server{{}};
    Probing probing;
    probing.scheduler->add(tcp_probe(server.endpoint(), 200ms), {.interval = 60s}, 0s);
    probing.block_loop(700ms);
    ASSERT_TRUE(probing.run_until([&] { return !probing.results.empty(); }));
    EXPECT_EQ(probing.results[0].result.outcome, Outcome::pass);
    EXPECT_LE(probing.results[0].result.latency, noise);
  });
}

TEST(ProbeTcp, ATimeoutDuringASuspensionCountsOnlyAfterASecondWait) {
  isolated([] {
    drop("input", "tcp dport 80 drop");
    Probing probing;
    probing.scheduler->add(tcp_probe(at("127.0.0.1", 80), 200ms), {.interval = 60s}, 0s);
    probing.block_loop(500ms);
    ASSERT_TRUE(probing.run_until([&] { return !probing.results.empty(); }));
    EXPECT_EQ(probing.results[0].result.reason, Reason::timeout);
    EXPECT_TRUE(at_deadline(probing.results[0].result.latency, 700ms));
  });
}

TEST(ProbeTcp, AMillisecondIntervalDoesNotRunOutOfPorts) {
  isolated([] {
    // 200 ports for a thousand probes a second: without the reset all would be in TIME_WAIT after a fifth of a second.
    shell("sysctl -qw net.ipv4.ip_local_port_range='40000 40199'");
    ScriptedServer server{{}};
    Probing probing;
    auto probe = tcp_probe(server.endpoint());
    probe.spec.source = Address::parse("127.0.0.1");
    probing.scheduler->add(probe, {.interval = 1ms}, 0s);
    EXPECT_TRUE(probing.run_until([&] { return probing.results.size() > 2'000; }, 30s)); // ten times the ports
    for (const auto& received : probing.results) EXPECT_EQ(received.result.outcome, Outcome::pass);
    EXPECT_EQ(time_waits(), 0);
    print_lateness(probing, "one probe a millisecond over 200 ports");
  });
}

} // namespace
} // namespace hanat::test
