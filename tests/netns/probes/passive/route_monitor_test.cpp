// Paths to servers with the real kernel: links, addresses, routes, rules and neighbours that disappear and return. Both ends of a veth pair
// are in one namespace: setting one down takes the carrier of the other. Not here: parsing (unit tests of passive/route_monitor).
#include "probes/passive/route_monitor.hpp"

#include <algorithm>
#include <ctime>
#include <optional>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/netns/lab/isolated.hpp"
#include "tests/netns/lab/probing.hpp"
#include "tests/netns/lab/scripted.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using probes::KernelEvent;
using probes::KernelEventKind;
using probes::Path;
using probes::Reason;
using probes::RouteMonitor;

Path path_to(const char* address) { return {.server = Address::parse(address).value(), .source = std::nullopt}; }

/// Up or down, by a system call; returns the time before it.
Clock::time_point set_link(const char* name, bool up) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request{};
  std::copy_n(name, std::min<std::size_t>(std::char_traits<char>::length(name), IFNAMSIZ - 1), request.ifr_name);
  EXPECT_EQ(ioctl(fd, SIOCGIFFLAGS, &request), 0);
  request.ifr_flags = static_cast<short>(up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP);
  const auto began = Clock::now();
  EXPECT_EQ(ioctl(fd, SIOCSIFFLAGS, &request), 0);
  close(fd);
  return began;
}

/// near--far and second--beyond; addresses on near and second. No duplicate address detection: usable at once.
void make_links() {
  shell("sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0 && "
        "printf '%s\\n' 'link add near type veth peer name far' 'link add second type veth peer name beyond' "
        "'address add 198.18.1.1/24 dev near' 'address add fd00:1::1/64 dev near nodad' 'address add 198.18.2.1/24 dev second' "
        "'link set near up' 'link set far up' 'link set second up' 'link set beyond up' | ip -batch -");
}

struct WatchedPaths {
  explicit WatchedPaths(std::initializer_list<const char*> addresses, RouteMonitor::Options options = {})
      : routes(
            &probing.loop,
            [this](const KernelEvent& event) {
              events.push_back(event);
              received_at = Clock::now();
            },
            options) {
    for (const char* address : addresses) routes.add(path_to(address));
    for (const char* address : addresses)
      EXPECT_TRUE(becomes(address, std::nullopt)) << address; // a new link gets its carrier a while later
    sync();
  }
  /// Reads all pending changes, and drops their events.
  void sync() {
    probing.run_for(20ms);
    events.clear();
  }
  bool sees(KernelEventKind kind, Clock::duration limit = 10s) {
    return probing.run_until([&] { return std::ranges::any_of(events, [&](const KernelEvent& event) { return event.kind == kind; }); },
                             limit);
  }
  std::optional<Reason> unreachable(const char* address) {
    const auto result = routes.unreachable(path_to(address));
    return result ? std::optional{result->reason} : std::nullopt;
  }
  bool becomes(const char* address, std::optional<Reason> reason) {
    return probing.run_until([&] { return unreachable(address) == reason; });
  }

  Probing probing;
  std::vector<KernelEvent> events;
  Clock::time_point received_at;
  RouteMonitor routes;
};

double in_ms(Clock::duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

TEST(RouteMonitor, ALostCarrierIsReportedWithinMilliseconds) {
  isolated([] {
    make_links();
    WatchedPaths watched({"198.18.1.2", "fd00:1::2", "198.18.2.2"});
    EXPECT_EQ(watched.unreachable("198.18.1.2"), std::nullopt);
    std::vector<double> times;
    for (int again = 0; again < 5; ++again) {
      const auto began = set_link("far", false);
      const auto returned = Clock::now();
      ASSERT_TRUE(watched.sees(KernelEventKind::carrier_lost));
      times.push_back(in_ms(watched.received_at - began));
      fmt::print("  carrier lost: reported {:.2f} ms after the peer began to go down (which took {:.2f} ms)\n", times.back(),
                 in_ms(returned - began));
      ASSERT_TRUE(watched.probing.run_until([&] { return watched.events.size() >= 2; }));
      const KernelEvent expected{.kind = KernelEventKind::carrier_lost, .server = at("198.18.1.2", 0), .detail = "near"};
      const KernelEvent other{.kind = KernelEventKind::carrier_lost, .server = at("fd00:1::2", 0), .detail = "near"};
      EXPECT_THAT(watched.events, testing::UnorderedElementsAre(expected, other));
      EXPECT_EQ(watched.unreachable("198.18.1.2"), Reason::no_carrier);
      EXPECT_EQ(watched.unreachable("fd00:1::2"), Reason::no_carrier);
      EXPECT_EQ(watched.unreachable("198.18.2.2"), std::nullopt);
      watched.sync();
      set_link("far", true);
      EXPECT_TRUE(watched.becomes("198.18.1.2", std::nullopt));
      EXPECT_TRUE(watched.becomes("fd00:1::2", std::nullopt));
      EXPECT_TRUE(watched.events.empty()) << "a path that returns is no event";
    }
    EXPECT_LT(*std::ranges::min_element(times), 10.0);
  });
}

TEST(RouteMonitor, ALinkSetDownIsNoCarrierThoughItsRoutesAreGone) {
  isolated([] {
    make_links();
    WatchedPaths watched({"198.18.1.2"});
    set_link("near", false);
    ASSERT_TRUE(watched.sees(KernelEventKind::carrier_lost));
    EXPECT_EQ(watched.unreachable("198.18.1.2"), Reason::no_carrier);
    watched.probing.run_for(20ms);
    EXPECT_EQ(watched.events.size(), 1U) << "one change, one event";
    EXPECT_EQ(watched.unreachable("198.18.1.2"), Reason::no_carrier);
    set_link("near", true);
    EXPECT_TRUE(watched.becomes("198.18.1.2", std::nullopt));
  });
}

TEST(RouteMonitor, ARecreatedInterfaceCarriesItsPathAgain) {
  isolated([] {
    make_links();
    WatchedPaths watched({"198.18.1.2"});
    shell("ip link delete near");
    ASSERT_TRUE(watched.sees(KernelEventKind::carrier_lost));
    EXPECT_TRUE(watched.becomes("198.18.1.2", Reason::net_unreachable));
    watched.sync();
    shell("printf '%s\\n' 'link add near type veth peer name far' 'address add 198.18.1.1/24 dev near' 'link set near up' 'link set far "
          "up' | "
          "ip -batch -");
    EXPECT_TRUE(watched.becomes("198.18.1.2", std::nullopt));
    EXPECT_TRUE(watched.events.empty());
    set_link("far", false);
    EXPECT_TRUE(watched.sees(KernelEventKind::carrier_lost)) << "the new interface is watched like the old one";
  });
}

TEST(RouteMonitor, ADeletedAddressIsNamedAsTheCause) {
  isolated([] {
    make_links();
    WatchedPaths watched({"198.18.1.2", "fd00:1::2"});
    shell("ip address delete 198.18.1.1/24 dev near");
    ASSERT_TRUE(watched.sees(KernelEventKind::address_gone));
    EXPECT_EQ(watched.events.front().detail, "198.18.1.1");
    EXPECT_EQ(watched.unreachable("198.18.1.2"), Reason::net_unreachable);
    EXPECT_EQ(watched.unreachable("fd00:1::2"), std::nullopt);
    watched.sync();
    shell("ip address delete fd00:1::1/64 dev near");
    ASSERT_TRUE(watched.sees(KernelEventKind::address_gone));
    EXPECT_EQ(watched.events.size(), 1U);
    EXPECT_EQ(watched.unreachable("fd00:1::2"), Reason::net_unreachable);
    shell("ip address add 198.18.1.1/24 dev near");
    EXPECT_TRUE(watched.becomes("198.18.1.2", std::nullopt));
  });
}

TEST(RouteMonitor, AConfiguredSourceIsWatched) {
  isolated([] {
    make_links();
    shell("ip address add 198.18.9.9/32 dev lo");
    WatchedPaths watched({"198.18.2.2"});
    const Path from{.server = Address::parse("198.18.1.2").value(), .source = Address::parse("198.18.9.9").value()};
    watched.routes.add(from);
    watched.sync();
    shell("ip address delete 198.18.9.9/32 dev lo");
    ASSERT_TRUE(watched.sees(KernelEventKind::address_gone));
    EXPECT_EQ(watched.routes.unreachable(from), std::nullopt) << "a missing source is a local failure, not the server's";
    set_link("far", false);
    EXPECT_TRUE(watched.sees(KernelEventKind::carrier_lost));
  });
}

TEST(RouteMonitor, ADeletedRouteAndABlackholeAreNamed) {
  isolated([] {
    make_links();
    shell("ip route add 203.0.113.0/24 via 198.18.1.2 && ip route add 2001:db8::/32 via fd00:1::2");
    WatchedPaths watched({"203.0.113.7", "2001:db8::7", "198.18.1.2"});
    for (const char* family : {"203.0.113.0/24", "2001:db8::/32"}) {
      watched.sync();
      const char* const server = family[0] == '2' && family[3] == '.' ? "203.0.113.7" : "2001:db8::7";
      EXPECT_EQ(watched.unreachable(server), std::nullopt);
      shell(fmt::format("ip route delete {}", family));
      ASSERT_TRUE(watched.sees(KernelEventKind::route_gone)) << family;
      EXPECT_THAT(watched.events,
                  testing::ElementsAre(KernelEvent{.kind = KernelEventKind::route_gone, .server = at(server, 0), .detail = "no route"}));
      EXPECT_EQ(watched.unreachable(server), Reason::net_unreachable);
      shell(fmt::format("ip route add blackhole {}", family));
      watched.probing.run_for(10ms);
      EXPECT_THAT(watched.routes.unreachable(path_to(server)),
                  testing::Optional(testing::Field(&probes::ProbeResult::detail, "blackhole route")));
      EXPECT_EQ(watched.events.size(), 1U) << "broken before and after: no event";
    }
    EXPECT_EQ(watched.unreachable("198.18.1.2"), std::nullopt);
  });
}

TEST(RouteMonitor, ABlackholeOverAGoodRouteIsAnEvent) {
  isolated([] {
    make_links();
    WatchedPaths watched({"198.18.1.2", "198.18.1.3"});
    shell("ip route add blackhole 198.18.1.2/32");
    ASSERT_TRUE(watched.sees(KernelEventKind::route_gone));
    EXPECT_EQ(watched.events.size(), 1U);
    EXPECT_EQ(watched.unreachable("198.18.1.2"), Reason::net_unreachable);
    EXPECT_EQ(watched.unreachable("198.18.1.3"), std::nullopt);
    shell("ip route delete blackhole 198.18.1.2/32");
    EXPECT_TRUE(watched.becomes("198.18.1.2", std::nullopt));
  });
}

TEST(RouteMonitor, TheGatewaysLinkCarriesAllPathsThroughIt) {
  isolated([] {
    make_links();
    shell("ip route add default via 198.18.1.254 && ip route add default via 198.18.2.254 metric 100");
    WatchedPaths watched({"203.0.113.7"});
    set_link("far", false);
    ASSERT_TRUE(watched.sees(KernelEventKind::carrier_lost));
    EXPECT_EQ(watched.unreachable("203.0.113.7"), Reason::no_carrier) << "Linux keeps the route of a link without carrier";
    watched.sync();
    set_link("near", false); // now its route disappears, and the other one is used
    EXPECT_TRUE(watched.becomes("203.0.113.7", std::nullopt));
    set_link("beyond", false);
    ASSERT_TRUE(watched.sees(KernelEventKind::carrier_lost));
    EXPECT_EQ(watched.events.back().detail, "second");
  });
}

TEST(RouteMonitor, APolicyRuleChangesAPath) {
  isolated([] {
    make_links();
    shell("ip route add default via 198.18.1.254 && ip route add default via 198.18.2.254 table 77");
    WatchedPaths watched({"203.0.113.7"});
    const auto before = watched.routes.counts().route_lookups;
    shell("ip rule add to 203.0.113.0/24 lookup 77");
    ASSERT_TRUE(watched.probing.run_until([&] { return watched.routes.counts().route_lookups > before; })); // a refresh of all paths
    set_link("far", false);
    EXPECT_FALSE(watched.sees(KernelEventKind::carrier_lost, 50ms)) << "it uses the other link now";
    set_link("beyond", false);
    ASSERT_TRUE(watched.sees(KernelEventKind::carrier_lost));
    EXPECT_EQ(watched.unreachable("203.0.113.7"), Reason::no_carrier);
  });
}

TEST(RouteMonitor, AFailedNeighbourIsReported) {
  isolated([] {
    make_links();
    shell("sysctl -qw net.ipv4.neigh.near.retrans_time_ms=10 && ip route add 203.0.113.0/24 via 198.18.1.254");
    WatchedPaths watched({"203.0.113.7", "198.18.1.2"});
    watched.probing.scheduler->add(tcp_probe(at("203.0.113.7", 80)), {.interval = 60s}, 0s);
    ASSERT_TRUE(watched.sees(KernelEventKind::neighbour_failed));
    const KernelEvent expected{.kind = KernelEventKind::neighbour_failed, .server = at("203.0.113.7", 0), .detail = "198.18.1.254 on near"};
    EXPECT_THAT(watched.events, testing::ElementsAre(expected));
    EXPECT_EQ(watched.unreachable("203.0.113.7"), std::nullopt) << "the probe itself reports it";
  });
}

TEST(RouteMonitor, APathRemovedAsOftenAsAddedIsForgotten) {
  isolated([] {
    make_links();
    WatchedPaths watched({"198.18.1.2", "198.18.1.2"});
    watched.routes.remove(path_to("198.18.1.2"));
    set_link("far", false);
    ASSERT_TRUE(watched.sees(KernelEventKind::carrier_lost));
    watched.routes.remove(path_to("198.18.1.2"));
    watched.routes.remove(path_to("198.18.1.2"));
    EXPECT_EQ(watched.unreachable("198.18.1.2"), std::nullopt);
    watched.sync();
    set_link("far", true);
    set_link("far", false);
    watched.probing.run_for(20ms);
    EXPECT_TRUE(watched.events.empty());
  });
}

TEST(RouteMonitor, LostChangesAreFoundByARefresh) {
  isolated([] {
    make_links();
    WatchedPaths watched{{"198.18.1.2", "198.18.2.2"}, {.mark = 0, .buffer_bytes = 4'096}};
    shell("ip route add 198.18.2.2/32 dev second && for i in $(seq 64); do echo route add 203.0.113.$i/32 dev near; done | ip -batch -");
    set_link("far", false); // its message does not fit into the buffer any more
    shell("ip route add blackhole 198.18.1.3/32 && ip route replace blackhole 198.18.2.2/32");
    ASSERT_TRUE(watched.probing.run_until([&] { return watched.events.size() >= 2; }));
    EXPECT_GE(watched.routes.counts().lost, 1U);
    EXPECT_EQ(watched.unreachable("198.18.1.2"), Reason::no_carrier);
    EXPECT_EQ(watched.unreachable("198.18.2.2"), Reason::net_unreachable);
  });
}

std::chrono::nanoseconds own_time() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec};
}

TEST(RouteMonitor, TenThousandPathsOverAFlappingLinkDoNotBlockTheLoop) {
  isolated([] {
    make_links();
    shell("ip route add 198.19.0.0/16 via 198.18.1.254");
    Probing probing;
    std::size_t reported = 0;
    RouteMonitor routes{&probing.loop, [&](const KernelEvent&) { ++reported; }};
    constexpr unsigned number = 10'000;
    std::vector<Path> all;
    for (unsigned i = 0; i < number; ++i) all.push_back(path_to(fmt::format("198.19.{}.{}", i / 250, 1 + i % 250).c_str()));
    for (const Path& path : all) routes.add(path);
    ASSERT_TRUE(probing.run_until([&] { return routes.counts().route_lookups >= number; }));

    std::vector<std::chrono::nanoseconds> turns; // that took some time
    const auto began = own_time();
    for (int flap = 1; flap <= 3; ++flap) {
      for (const bool up : {false, true}) {
        set_link("far", up);
        const auto until = Clock::now() + (up ? 100ms : 10s);
        while (Clock::now() < until && (up || reported < static_cast<std::size_t>(flap) * number)) {
          const auto before = own_time();
          uv_run(&probing.loop, UV_RUN_NOWAIT);
          if (const auto took = own_time() - before; took > 100us) turns.push_back(took);
        }
      }
      EXPECT_GE(reported, static_cast<std::size_t>(flap) * number);
    }
    const auto spent = own_time() - began;
    for (const Path& path : all) EXPECT_FALSE(routes.unreachable(path)); // looks up the routes that are not known yet
    const auto lookups_began = own_time();
    for (const Path& path : all) ASSERT_FALSE(routes.unreachable(path));
    const auto per_lookup = (own_time() - lookups_began) / number;
    std::ranges::sort(turns);
    const auto p95 = turns[turns.size() * 95 / 100];
    fmt::print("  10,000 paths, 3 flaps: {} turns of the loop, p95 {:.2f} ms of CPU, longest {:.2f} ms, {:.0f} ms in all; a lookup {} ns\n",
               turns.size(), in_ms(p95), in_ms(turns.back()), in_ms(spent), per_lookup.count());
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    EXPECT_LT(p95, 5ms); // the longest includes unrelated work of the kernel
#endif
    for (const Path& path : all) routes.remove(path);
  });
}

TEST(RouteMonitor, AnUnreachableServerFailsWithoutASocket) {
  isolated([] {
    make_links();
    WatchedPaths watched({"198.18.1.2"});
    std::vector<probes::ProbeResult> results;
    probes::Scheduler scheduler{&watched.probing.loop,
                                [&](probes::ProbeId, const probes::ProbeResult& result) { results.push_back(result); },
                                [&](const probes::Probe& probe) {
                                  return watched.routes.unreachable({.server = probe.server.address, .source = probe.spec.source});
                                }};
    set_link("far", false);
    ASSERT_TRUE(watched.sees(KernelEventKind::carrier_lost));
    scheduler.add(tcp_probe(at("198.18.1.2", 80), 10s), {.interval = 60s}, 0s);
    ASSERT_TRUE(watched.probing.run_until([&] { return !results.empty(); }));
    const probes::ProbeResult expected{.outcome = probes::Outcome::fail, .reason = Reason::no_carrier, .latency = {}, .detail = "near"};
    EXPECT_EQ(results.front(), expected);
  });
}

} // namespace
} // namespace hanat::test
