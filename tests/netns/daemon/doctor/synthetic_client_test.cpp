// hanatd's own client alone: a thousand flows at little cost, the interfaces by which packets left and came back, and the veth pair.
// Not here: what follows from a result (doctor_test).
#include <atomic>
#include <map>
#include <thread>

#include <sys/resource.h>

#include <algorithm>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <uv.h>

#include "daemon/doctor/doctor.hpp"
#include "daemon/doctor/path_checks.hpp"
#include "daemon/doctor/synthetic_client.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;

const std::atomic<bool> never = false;

std::chrono::nanoseconds cpu_time() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return std::chrono::seconds{usage.ru_utime.tv_sec + usage.ru_stime.tv_sec} +
         std::chrono::microseconds{usage.ru_utime.tv_usec + usage.ru_stime.tv_usec};
}

class SyntheticClientTest : public testing::Test {
protected:
  SyntheticClientTest() {
    lab.must(Host::gateway,
             "nft add table ip t && nft 'add chain ip t pre { type nat hook prerouting priority -100; }' && nft 'add rule ip t pre "
             "ip daddr 203.0.113.10 tcp dport 1000-1999 dnat to " +
                 Lab::address(Host::primary).text() + ":8443'");
  }
  static std::vector<ClientFlow> flows(std::size_t count) {
    std::vector<ClientFlow> result;
    for (std::size_t index = 0; index < count; ++index)
      result.push_back({.vip = {.address = Lab::vip(443).address, .port = static_cast<std::uint16_t>(1000 + index)}, .payload = {}});
    return result;
  }
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"};
};

TEST_F(SyntheticClientTest, ChecksAThousandServicesWithOnePercentOfACoreAMinute) {
  lab.in(Host::gateway, [&] {
    const auto start = cpu_time();
    const auto wall = TestClock::now();
    SyntheticClient client("t", path_check_client("t"));
    const auto results = client.run(flows(1000), {.spacing = 500us}, never);
    const auto used = cpu_time() - start;
    const auto count = std::ranges::count(results, FlowOutcome::answered, &FlowResult::outcome);
    EXPECT_EQ(count, 1000);
    // Of a minute; the debug build and the forwarding in the kernel, which is done on this thread, included.
    EXPECT_LT(used, 600ms);
    RecordProperty("cpu_ms", static_cast<int>(used / 1ms));
    fmt::print("1,000 flows: {} ms of a core within {} ms\n", used / 1ms, (TestClock::now() - wall) / 1ms);
  });
  EXPECT_EQ(primary.accepted(), 0U);
}

TEST_F(SyntheticClientTest, SaysByWhichInterfacesPacketsLeftAndCameBack) {
  lab.in(Host::gateway, [&] {
    SyntheticClient client("t", doctor_client("t"));
    const auto results = client.run(flows(2), {.watch = true}, never);
    ASSERT_EQ(results.size(), 2U);
    for (const FlowResult& result : results) {
      EXPECT_EQ(result.outcome, FlowOutcome::answered);
      EXPECT_EQ(result.left_by, "to-primary");
      EXPECT_EQ(result.back_by, "to-primary");
    }
    EXPECT_TRUE(client.pings(Lab::address(Host::primary), 500ms));
    EXPECT_FALSE(client.pings(*Address::parse("198.18.11.99"), 100ms));
  });
}

TEST_F(SyntheticClientTest, TellsRefusedUnreachableAndSilentApart) {
  primary.kill();
  lab.must(Host::gateway, "ip route add prohibit 203.0.113.20/32 && ip route add blackhole 203.0.113.21/32");
  lab.in(Host::gateway, [&] {
    SyntheticClient client("t", doctor_client("t"));
    auto wanted = flows(3);
    wanted[1].vip.address = *Address::parse("203.0.113.20");
    wanted[2].vip.address = *Address::parse("203.0.113.21");
    const auto results = client.run(wanted, {}, never);
    EXPECT_EQ(results[0].outcome, FlowOutcome::refused);
    EXPECT_EQ(results[1].outcome, FlowOutcome::unreachable);
    EXPECT_EQ(results[2].outcome, FlowOutcome::silent);
  });
}

TEST_F(SyntheticClientTest, TwoPairsStandBesideEachOtherAndAreRemoved) {
  lab.in(Host::gateway, [&] {
    {
      SyntheticClient first("t", doctor_client("t")), second("u", doctor_client("u"));
      EXPECT_EQ(first.interface(), "hanat-c0");
      EXPECT_EQ(second.interface(), "hanat-c2");
      EXPECT_EQ(remove_old_client_links("u"), 1U) << "only those of its own table";
      EXPECT_EQ(remove_old_client_links("u"), 0U);
    }
    EXPECT_EQ(remove_old_client_links("t"), 0U);
  });
}

/// PathChecks on a loop of its own, until `enough` says so. `meanwhile`: once a turn.
void run_path_checks(std::vector<ServiceCheck> services, std::optional<Clock::duration> period, const PathChecks::Found& found,
                     const std::function<bool()>& enough, std::chrono::milliseconds deadline, const PathChecks::Failed& failed = {},
                     const std::function<void(PathChecks&)>& meanwhile = {}) {
  uv_loop_t loop;
  uv_loop_init(&loop);
  {
    Doctor doctor(&loop, {.table = "t"});
    PathChecks checks(
        &loop, "t", doctor, [&] { return services; }, found, failed);
    checks.set_period(period);
    UvHandle<uv_timer_t> tick = make_timer(&loop, nullptr);
    uv_timer_start(
        tick.get(), [](uv_timer_t*) {}, 10, 10);
    for (const auto end = TestClock::now() + deadline; !enough() && TestClock::now() < end;) {
      uv_run(&loop, UV_RUN_ONCE);
      if (meanwhile) meanwhile(checks);
    }
  }
  uv_run(&loop, UV_RUN_DEFAULT);
  uv_loop_close(&loop);
}

ServiceCheck service_at(std::uint16_t port) {
  ServiceCheck check;
  check.name = "web";
  check.endpoints = {
      {.vip = {.address = Lab::vip(443).address, .port = port}, .server = Lab::endpoint(Host::primary, 8443), .snat = {}, .payload = {}}};
  return check;
}

TEST_F(SyntheticClientTest, PathChecksReportASilentServiceAndThatItIsServedAgain) {
  lab.in(Host::gateway, [&] {
    std::vector<Finding> silent;
    bool answered = false;
    const auto found = [&](const std::string& service, std::optional<bool> replied, std::vector<Finding> what) {
      EXPECT_EQ(service, "web");
      answered = replied == std::optional{true};
      if (answered) return;
      silent = std::move(what);
      lab.sysctl(Host::gateway, "net.ipv4.ip_forward", "1");
    };
    lab.sysctl(Host::gateway, "net.ipv4.ip_forward", "0");
    run_path_checks(
        {service_at(1000)}, 200ms, found, [&] { return answered; }, 10s);
    EXPECT_TRUE(answered) << "again";
    ASSERT_FALSE(silent.empty());
    EXPECT_EQ(silent.front().code, "ip-forward-off");
  });
}

TEST_F(SyntheticClientTest, OfManySilentServicesEachIsReported) {
  std::vector<ServiceCheck> services;
  for (std::uint16_t number = 0; number < 20; ++number) {
    services.push_back(service_at(static_cast<std::uint16_t>(1000 + number)));
    services.back().name = fmt::format("web{}", number);
  }
  lab.in(Host::gateway, [&] {
    lab.sysctl(Host::gateway, "net.ipv4.ip_forward", "0");
    std::map<std::string, std::optional<bool>> reported;
    std::size_t with_cause = 0;
    const auto found = [&](const std::string& service, std::optional<bool> answered, const std::vector<Finding>& what) {
      reported[service] = answered;
      if (std::ranges::find(what, "ip-forward-off", &Finding::code) != what.end()) ++with_cause;
    };
    run_path_checks(
        services, 200ms, found, [&] { return reported.size() == services.size(); }, 15s);
    EXPECT_EQ(reported.size(), services.size());
    for (const auto& [service, answered] : reported) EXPECT_EQ(answered, std::optional{false}) << service;
    EXPECT_EQ(with_cause, services.size());
  });
}

TEST_F(SyntheticClientTest, AClientThatCannotBeSentIsSaidOnceAndTellsNothing) {
  lab.must(Host::gateway, "for i in $(seq 0 63); do ip link add hanat-c$i type bridge; done");
  lab.in(Host::gateway, [&] {
    std::vector<std::string> failures;
    std::size_t unknown = 0;
    run_path_checks(
        {service_at(1000)}, 100ms,
        [&](const std::string&, std::optional<bool> answered, const std::vector<Finding>&) { unknown += answered ? 0U : 1U; },
        [&] { return unknown >= 3; }, 10s, [&](const std::string& why) { failures.push_back(why); });
    EXPECT_GE(unknown, 3U);
    ASSERT_EQ(failures.size(), 1U) << "not at each pass";
    EXPECT_NE(failures[0].find("every name hanat-cN is taken"), std::string::npos) << failures[0];
  });
}

TEST_F(SyntheticClientTest, ChecksThatAreSwitchedOffReportNothingMore) {
  lab.in(Host::gateway, [&] {
    lab.sysctl(Host::gateway, "net.ipv4.ip_forward", "0");
    bool off = false;
    std::size_t after = 0, turns = 0;
    const auto links = [&] { return lab.must(Host::gateway, "ip -o link show"); };
    run_path_checks(
        {service_at(1000)}, 100ms, [&](const std::string&, std::optional<bool>, const std::vector<Finding>&) { after += off ? 1U : 0U; },
        [&] { return turns > 300; }, 10s, {},
        [&](PathChecks& checks) {
          if (!off && links().find("hanat-c") != std::string::npos) { // its client is on its way, or an examination
            checks.set_period(std::nullopt);
            off = true;
          }
          if (off) ++turns; // of 10 ms: longer than an examination
        });
    EXPECT_TRUE(off);
    EXPECT_EQ(after, 0U);
    EXPECT_EQ(links().find("hanat-c"), std::string::npos);
  });
}

TEST_F(SyntheticClientTest, NothingIsSentWithoutAPeriod) {
  lab.in(Host::gateway, [&] {
    bool asked = false;
    uv_loop_t loop;
    uv_loop_init(&loop);
    {
      Doctor doctor(&loop, {.table = "t"});
      PathChecks checks(
          &loop, "t", doctor,
          [&] {
            asked = true;
            return std::vector<ServiceCheck>{};
          },
          [](const std::string&, std::optional<bool>, const std::vector<Finding>&) {});
      checks.set_period(std::nullopt);
      EXPECT_EQ(uv_backend_timeout(&loop), 0) << "no timer runs";
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    EXPECT_FALSE(asked);
  });
}

} // namespace
} // namespace hanat::test
