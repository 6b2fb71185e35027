// Real clients of a real table whose rules log to the nflog group: which packets become events, and how soon.
// Not here: parsing (unit tests of passive/nflog_reader).
#include "probes/passive/nflog_reader.hpp"

#include <algorithm>
#include <optional>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nat/nftables/layout.hpp"
#include "probes/passive/kernel_events.hpp"
#include "probes/passive/route_monitor.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/probing.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using probes::KernelEvent;
using probes::KernelEventKind;
using probes::KernelEvents;

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

struct EventReader {
  EventReader()
      : sources(&probing.loop, [this](const KernelEvent& event) {
          events.push_back(event);
          received_at = Clock::now();
        }) {
    EXPECT_EQ(sources.nflog_failure(), std::nullopt);
    probing.run_for(5ms);
  }
  /// Runs a client's connect, and the loop until there is an event. The time from connect() to the event.
  Clock::duration latency_of(const std::function<Attempt()>& client, std::optional<Result> expected = std::nullopt) {
    events.clear();
    Attempt attempt;
    Clock::time_point began;
    std::thread thread([&] {
      attempt = client();
      began = Clock::now() - attempt.latency;
    });
    EXPECT_TRUE(probing.run_until([&] { return !events.empty(); }, 3s));
    thread.join();
    if (expected) {
      EXPECT_EQ(attempt.result, *expected) << attempt;
    }
    return received_at - began;
  }

  Probing probing;
  std::vector<KernelEvent> events;
  Clock::time_point received_at;
  KernelEvents sources;
};

TEST(NflogReader, ARefusedClientNamesItsServerWithinMilliseconds) {
  Lab lab;
  load_table(lab, Lab::address(Host::primary)); // where nothing listens
  const Vip web{.address = Lab::vip(443).address, .protocol = Protocol::tcp, .port = 443};
  lab.in(Host::gateway, [&] {
    EventReader reader;
    std::vector<Clock::duration> times;
    for (int again = 0; again < 5; ++again) {
      times.push_back(reader.latency_of([&] { return connect_once(lab, Host::client, Lab::vip(443)); }, Result::refused));
      fmt::print("  refused client: from its connect() to the event {:.2f} ms\n",
                 std::chrono::duration<double, std::milli>(times.back()).count());
      ASSERT_EQ(reader.events.size(), 1U);
      const KernelEvent& event = reader.events.front();
      EXPECT_EQ(event.kind, KernelEventKind::refused);
      EXPECT_EQ(event.server, Lab::endpoint(Host::primary, 8443));
      if (event.vip) { // the kernel tells the flow of a logged packet
        EXPECT_EQ(event.vip, web);
      }
      ASSERT_TRUE(event.client);
      EXPECT_EQ(event.client->address, Lab::address(Host::client));
    }
    EXPECT_LT(*std::ranges::min_element(times), 5ms);

    lab.silent(Host::primary, true); // connecting twice from one port sends a second SYN
    const auto twice = [&] {
      connect_once(lab, Host::client, Lab::vip(443), 20ms, 40'001);
      return connect_once(lab, Host::client, Lab::vip(443), 20ms, 40'001);
    };
    reader.latency_of(twice, Result::timeout);
    ASSERT_EQ(reader.events.size(), 1U);
    EXPECT_EQ(reader.events.front().kind, KernelEventKind::unanswered);
    EXPECT_EQ(reader.events.front().vip, web);
    EXPECT_EQ(reader.events.front().client, Lab::endpoint(Host::client, 40'001));
    EXPECT_NE(reader.events.front().sequence, 0U);
  });
}

TEST(NflogReader, ARouterThatCannotReachTheServerIsReported) {
  Lab lab;
  const Address server = Address::parse("fd00:50::5").value();
  lab.must(Host::primary, "sysctl -qw net.ipv6.conf.all.forwarding=1 && ip route add unreachable fd00:50::/64");
  lab.must(Host::gateway, fmt::format("ip route add fd00:50::/64 via {}", Lab::address(Host::primary, Family::ipv6).text()));
  load_table(lab, server, Family::ipv6);
  lab.in(Host::gateway, [&] {
    EventReader reader;
    reader.latency_of([&] { return connect_once(lab, Host::client, Lab::vip(443, Family::ipv6), 20ms); });
    ASSERT_FALSE(reader.events.empty());
    EXPECT_EQ(reader.events.front().kind, KernelEventKind::unreachable);
    EXPECT_EQ(reader.events.front().server, (Endpoint{.address = server, .port = 8443}));
    EXPECT_THAT(reader.events.front().detail, testing::HasSubstr(Lab::address(Host::primary, Family::ipv6).text()));
  });
}

void connect_refused() {
  const Fd client{checked(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
  const SocketAddress nobody = to_sockaddr(at("127.0.0.1", 9));
  EXPECT_NE(connect(client.get(), nobody.get(), nobody.length), 0);
}

TEST(NflogReader, AFloodIsOneNewEventPerServerEvenIfTheBufferOverflows) {
  isolated([] {
    Probing probing;
    std::vector<KernelEvent> events;
    probes::NflogReader log{&probing.loop, [&](const KernelEvent& event) { events.push_back(event); }, 4'096};
    const auto table = fmt::format("table inet storm {{\nchain resets {{\ntype filter hook prerouting priority 0\n"
                                   "tcp flags & rst == rst log prefix \"{}\" group {}\n}}\n}}\n",
                                   nat::log_refused, nat::log_group);
    ASSERT_EQ(collect({"nft", "-f", "-"}, 5s, table).exit, 0);
    for (int client = 0; client < 300; ++client) connect_refused();
    ASSERT_TRUE(probing.run_until([&] { return !events.empty(); }));
    probing.run_for(5ms);
    EXPECT_LE(std::ranges::count(events, false, &KernelEvent::repeated), 2) << "the others differ in their clients only";
    EXPECT_EQ(events.front().server, at("127.0.0.1", 9));
  });
}

TEST(NflogReader, AGroupInUseIsReportedAndPathsAreStillWatched) {
  isolated([] {
    Probing probing;
    KernelEvents first{&probing.loop, [](const KernelEvent&) {}};
    KernelEvents second{&probing.loop, [](const KernelEvent&) {}};
    EXPECT_EQ(first.nflog_failure(), std::nullopt);
    ASSERT_NE(second.nflog_failure(), std::nullopt);
    EXPECT_THAT(*second.nflog_failure(), testing::HasSubstr("nflog group"));
    second.routes().add({.server = Address::parse("198.18.0.1").value()});
    EXPECT_NE(second.routes().unreachable({.server = Address::parse("198.18.0.1").value()}), std::nullopt);
  });
}

} // namespace
} // namespace hanat::test
