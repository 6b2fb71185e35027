// Real clients of a real table whose rules log to the group: what becomes a signal, and how soon.
#include "probes/client_log.hpp"

#include <algorithm>
#include <optional>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nat/layout.hpp"
#include "probes/signals.hpp"
#include "probes/ways.hpp"
#include "tests/netns/lab.hpp"
#include "tests/netns/peers.hpp"
#include "tests/netns/probing.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using probes::Signal;
using probes::SignalKind;
using probes::Signals;

/// VIP:443 to a server's 8443, and the three rules that log.
std::string logging_table(const Address& server, Family family) {
  const bool v4 = family == Family::ipv4;
  const auto log = [](std::string_view prefix) {
    return fmt::format("log prefix \"{}\" group {} queue-threshold 1 snaplen 128", prefix, nat::log_group);
  };
  return fmt::format("table inet clients {{\n"
                     "chain translate {{\ntype nat hook prerouting priority dstnat\n{0} daddr {1} tcp dport 443 dnat {0} to {2}\n}}\n"
                     "chain guard {{\ntype filter hook prerouting priority -110\n"
                     "tcp flags & (fin|syn|rst) == rst ct direction reply {3}\n"
                     "tcp flags & (syn|ack) == syn ct direction original ct status & (confirmed|seen-reply) == confirmed {4}\n"
                     "{5} type destination-unreachable {6}\n}}\n}}\n",
                     v4 ? "ip" : "ip6", Lab::vip(443, family).address.text(), to_text(Endpoint{.address = server, .port = 8443}),
                     log(nat::log_refused), log(nat::log_unanswered), v4 ? "icmp" : "icmpv6", log(nat::log_unreachable));
}

void load_table(Lab& lab, const Address& server, Family family = Family::ipv4) {
  const auto output = lab.run(Host::gateway, {"nft", "-f", "-"}, logging_table(server, family));
  ASSERT_EQ(output.exit, 0) << output.err;
}

struct HearingSignals {
  HearingSignals()
      : signals(&probing.loop, [this](const Signal& signal) {
          heard.push_back(signal);
          heard_at = probes::Clock::now();
        }) {
    EXPECT_EQ(signals.client_log_failure(), std::nullopt);
    probing.run_for(5ms);
  }
  /// A client's connect, and the loop until something was heard. The time from connect() to the signal.
  probes::Clock::duration heard_after(const std::function<Attempt()>& client, std::optional<Result> expected = std::nullopt) {
    heard.clear();
    Attempt attempt;
    probes::Clock::time_point began;
    std::thread thread([&] {
      attempt = client();
      began = probes::Clock::now() - attempt.latency;
    });
    EXPECT_TRUE(probing.run_until([&] { return !heard.empty(); }, 3s));
    thread.join();
    if (expected) {
      EXPECT_EQ(attempt.result, *expected) << attempt;
    }
    return heard_at - began;
  }

  Probing probing;
  std::vector<Signal> heard;
  probes::Clock::time_point heard_at;
  Signals signals;
};

TEST(ClientLog, ARefusedClientNamesItsServerWithinMilliseconds) {
  Lab lab;
  load_table(lab, Lab::address(Host::primary)); // where nobody listens
  lab.in(Host::gateway, [&] {
    HearingSignals hearing;
    std::vector<probes::Clock::duration> times;
    for (int again = 0; again < 5; ++again) {
      times.push_back(hearing.heard_after([&] { return connect_once(lab, Host::client, Lab::vip(443)); }, Result::refused));
      fmt::print("  refused client: from its connect() to the signal {:.2f} ms\n",
                 std::chrono::duration<double, std::milli>(times.back()).count());
      const Signal expected{.kind = SignalKind::refused, .server = Lab::endpoint(Host::primary, 8443)};
      EXPECT_THAT(hearing.heard, testing::ElementsAre(expected));
    }
    EXPECT_LT(*std::ranges::min_element(times), 5ms);

    lab.silent(Host::primary, true); // the same connection asked for twice is a SYN that was sent again
    const auto twice = [&] {
      connect_once(lab, Host::client, Lab::vip(443), 20ms, 40'001);
      return connect_once(lab, Host::client, Lab::vip(443), 20ms, 40'001);
    };
    hearing.heard_after(twice, Result::timeout);
    const auto vip = Lab::vip(443);
    const Signal unanswered{.kind = SignalKind::unanswered,
                            .vip = Vip{.address = vip.address, .protocol = Protocol::tcp, .port = vip.port}};
    EXPECT_THAT(hearing.heard, testing::ElementsAre(unanswered));
  });
}

TEST(ClientLog, ARouterThatDoesNotReachTheServerIsHeard) {
  Lab lab;
  const Address server = Address::parse("fd00:50::5").value();
  lab.must(Host::primary, "sysctl -qw net.ipv6.conf.all.forwarding=1 && ip route add unreachable fd00:50::/64");
  lab.must(Host::gateway, fmt::format("ip route add fd00:50::/64 via {}", Lab::address(Host::primary, Family::ipv6).text()));
  load_table(lab, server, Family::ipv6);
  lab.in(Host::gateway, [&] {
    HearingSignals hearing;
    hearing.heard_after([&] { return connect_once(lab, Host::client, Lab::vip(443, Family::ipv6), 20ms); });
    ASSERT_FALSE(hearing.heard.empty());
    EXPECT_EQ(hearing.heard.front().kind, SignalKind::unreachable);
    EXPECT_EQ(hearing.heard.front().server, (Endpoint{.address = server, .port = 8443}));
    EXPECT_THAT(hearing.heard.front().detail, testing::HasSubstr(Lab::address(Host::primary, Family::ipv6).text()));
  });
}

void ask_refused() {
  const Fd client{checked(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
  const SocketAddress nobody = to_sockaddr(at("127.0.0.1", 9));
  EXPECT_NE(connect(client.get(), nobody.get(), nobody.length), 0);
}

TEST(ClientLog, AStormIsOneSignalAServerAndMoreThanTheBufferHoldsIsNoFault) {
  isolated([] {
    Probing probing;
    std::vector<Signal> heard;
    probes::ClientLog log{&probing.loop, [&](const Signal& signal) { heard.push_back(signal); }, 4'096};
    const auto table = fmt::format("table inet storm {{\nchain resets {{\ntype filter hook prerouting priority 0\n"
                                   "tcp flags & rst == rst log prefix \"{}\" group {}\n}}\n}}\n",
                                   nat::log_refused, nat::log_group);
    ASSERT_EQ(collect({"nft", "-f", "-"}, 5s, table).exit, 0);
    for (int client = 0; client < 300; ++client) ask_refused();
    ASSERT_TRUE(probing.run_until([&] { return !heard.empty(); }));
    probing.run_for(5ms);
    EXPECT_LE(heard.size(), 2U);
    EXPECT_EQ(heard.front().server, at("127.0.0.1", 9));
  });
}

TEST(ClientLog, AGroupThatSomebodyElseReadsIsSaidAndTheWaysAreWatchedAllTheSame) {
  isolated([] {
    Probing probing;
    Signals first{&probing.loop, [](const Signal&) {}};
    Signals second{&probing.loop, [](const Signal&) {}};
    EXPECT_EQ(first.client_log_failure(), std::nullopt);
    ASSERT_NE(second.client_log_failure(), std::nullopt);
    EXPECT_THAT(*second.client_log_failure(), testing::HasSubstr("log group"));
    second.ways().add({.server = Address::parse("198.18.0.1").value()});
    EXPECT_NE(second.ways().blocked({.server = Address::parse("198.18.0.1").value()}), std::nullopt);
  });
}

} // namespace
} // namespace hanat::test
