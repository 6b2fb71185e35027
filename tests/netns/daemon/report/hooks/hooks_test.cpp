// Programs of the operator that are told of events: what they get, and that nothing waits for them. Not here: programs that fail
// (hook_faults_test).
#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/netns/daemon/report/hooks/hook_kit.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using std::chrono::microseconds;
using testing::Contains;
using testing::HasSubstr;

using Hooks = HookTest;

/// Everything that hanatd(8) says of a hook's process, as JSON.
constexpr const char* inspector = R"(
import json, os, sys
status = dict(line.split(':\t', 1) for line in open('/proc/self/status').read().splitlines() if ':\t' in line)
print('a line')
with open(sys.argv[1] + '.new', 'w') as out:
    json.dump({'document': json.load(sys.stdin), 'variables': dict(os.environ), 'argument': sys.argv[2], 'cwd': os.getcwd(),
               'group': os.getpgid(0) == os.getpid(), 'session': os.getsid(0) == os.getpid(), 'ambient': status['CapAmb'],
               'blocked': status['SigBlk'], 'fds': sorted(int(fd) for fd in os.listdir('/proc/self/fd') if int(fd) != out.fileno())}, out)
os.rename(sys.argv[1] + '.new', sys.argv[1])
)";

TEST_F(Hooks, AreToldAsDocumented) {
  write_text(folder / "inspect.py", inspector);
  const std::string program = script("inspect", fmt::format("exec python3 -I {} \"$@\"\n", folder / "inspect.py"));
  Hanatd hanatd{lab, fast_service(), {.before = {"env", "SECRET=x"}}};
  hanatd.wait_target("web", "primary");
  const std::string line = fmt::format("hook = [\"{}\", \"{}\", \"$(touch {})\"]", program, folder / "seen", folder / "injected");
  ASSERT_EQ(hanatd.reload(fast_service({.extra = line})).exit, 0);
  ASSERT_EQ(hanatd.ctl({"force-backup", "web", "--reason", "for $(id) \"us\""}).exit, 0);
  ASSERT_TRUE(within(5s, [&] { return std::filesystem::exists(folder / "seen"); })) << hanatd.log();
  const json seen = json::parse(read_text(folder / "seen"));
  const json& document = seen.at("document");
  EXPECT_EQ(document.at("version"), 1);
  EXPECT_EQ(document.at("event"), "flip");
  EXPECT_EQ(document.at("service"), "web");
  EXPECT_EQ(document.at("hook"), "web");
  EXPECT_EQ(document.at("from"), "primary");
  EXPECT_EQ(document.at("to"), "backup");
  EXPECT_EQ(document.at("addresses").at("from"), to_text(Lab::endpoint(Host::primary, 8443)));
  EXPECT_EQ(document.at("addresses").at("to"), to_text(Lab::endpoint(Host::backup, 8443)));
  EXPECT_EQ(document.at("why"), "forced");
  EXPECT_EQ(document.at("count"), 1);
  EXPECT_EQ(document.at("at"), service(hanatd.status(), "web").last_flip->at);
  EXPECT_EQ(document.at("events").size(), 1U);
  const json& variables = seen.at("variables");
  EXPECT_EQ(variables.at("HANAT_EVENT"), "flip");
  EXPECT_EQ(variables.at("HANAT_TO"), "backup");
  EXPECT_EQ(variables.at("HANAT_WHY"), "forced");
  EXPECT_EQ(variables.at("HANAT_TEXT"), document.at("text"));
  EXPECT_EQ(variables.at("HANAT_SERVER"), "");
  for (const auto& [name, value] : variables.items())
    EXPECT_TRUE(name == "PATH" || name == "PWD" || name == "LC_CTYPE" || name.starts_with("HANAT_"))
        << name; // the two are of sh and python
  EXPECT_EQ(seen.at("argument"), fmt::format("$(touch {})", folder / "injected"));
  EXPECT_FALSE(std::filesystem::exists(folder / "injected"));
  EXPECT_EQ(seen.at("cwd"), "/");
  EXPECT_EQ(seen.at("group"), true);
  EXPECT_EQ(seen.at("session"), true);
  EXPECT_EQ(seen.at("ambient"), "0000000000000000");
  EXPECT_EQ(seen.at("blocked"), "0000000000000000");
  EXPECT_EQ(seen.at("fds").size(), 4U) << seen.at("fds") << ": the three, and that of the listing itself";
}

TEST_F(Hooks, AHundredFlipsAreAFewCallsWithTheCount) {
  const std::string config =
      "[hanatd]\n" + hook(recorder("all")) + "\n" + fast_service({.extra = "on_forced = \"keep\"\n" + hook(recorder("web"))});
  Hanatd hanatd{lab, config};
  hanatd.wait_target("web", "primary");
  ASSERT_TRUE(within(5s, [&] { return count_of(told("web")) == 1; })) << "the first target";
  const auto before = told("web").size();
  const auto flips_before = service(hanatd.status(), "web").flips;
  const auto begin = std::chrono::steady_clock::now();
  for (int pair = 0; pair < 50; ++pair) {
    force(hanatd, "web", "backup");
    force(hanatd, "web", "primary");
  }
  const auto took = std::chrono::steady_clock::now() - begin;
  const auto flips = service(hanatd.status(), "web").flips - flips_before;
  EXPECT_EQ(flips, 100U);
  EXPECT_TRUE(within(5s, [&] { return count_of(told("web")) == 1 + flips; })) << count_of(told("web"));
  const auto calls = told("web");
  EXPECT_LE(calls.size() - before, 2U + static_cast<std::size_t>(took / 1s)) << "for " << flips << " flips";
  EXPECT_EQ(calls.back().at("to"), "primary") << "the newest state";
  for (const json& one : calls) EXPECT_EQ(one.at("events").size(), std::min(one.at("count").get<std::uint64_t>(), std::uint64_t{20}));
  EXPECT_TRUE(within(5s, [&] { return count_of(told("all")) >= 2 * flips; })) << "flips and overrides";
  fmt::print("{} flips in {} ms: {} calls\n", flips, took / 1ms, calls.size() - before);
}

/// The median, and the 99th of a hundred.
struct Spread {
  microseconds median{}, p99{};
};
Spread spread_of(std::vector<microseconds> times) {
  std::ranges::sort(times);
  return {.median = times[times.size() / 2], .p99 = times[times.size() * 99 / 100]};
}

TEST_F(Hooks, OneThatHangsLeavesFlipsAsTheyWere) {
  const std::string keep = "on_forced = \"keep\"\nhook_timeout = \"2m\"\n";
  Hanatd hanatd{lab, fast_service({.extra = keep + hook(recorder("hanging", "sleep 60"))}) +
                         fast_service({.name = "plain", .listen = "203.0.113.10:444/tcp", .extra = "on_forced = \"keep\""})};
  hanatd.wait_target("web", "primary");
  hanatd.wait_target("plain", "primary");
  ASSERT_TRUE(within(5s, [&] { return !told("hanging").empty(); })) << hanatd.log();
  std::vector<microseconds> with, without, commits_with, commits_without;
  for (int round = 0; round < 100; ++round)
    for (const char* name : {"web", "plain"}) {
      const bool hangs = name == std::string{"web"};
      const auto begin = std::chrono::steady_clock::now();
      force(hanatd, name, round % 2 == 0 ? "backup" : "primary");
      (hangs ? with : without).push_back(std::chrono::duration_cast<microseconds>(std::chrono::steady_clock::now() - begin));
      const auto flip = service(hanatd.status(), name).last_flip;
      ASSERT_TRUE(flip);
      (hangs ? commits_with : commits_without).push_back(microseconds{flip->commit_us});
    }
  const Spread hanging = spread_of(with), plain = spread_of(without), hanging_commit = spread_of(commits_with),
               plain_commit = spread_of(commits_without);
  fmt::print("a flip with a hook that hangs, and without: command {} and {} us (median), {} and {} (p99); commit {} and {}, {} and {}\n",
             hanging.median.count(), plain.median.count(), hanging.p99.count(), plain.p99.count(), hanging_commit.median.count(),
             plain_commit.median.count(), hanging_commit.p99.count(), plain_commit.p99.count());
  EXPECT_LT(hanging.median, plain.median * 3 / 2);
  EXPECT_LT(hanging.p99, plain.p99 * 3 + 2ms) << "two programs that the machine runs now and then";
  EXPECT_EQ(told("hanging").size(), 1U) << "it still hangs";
  const auto hooks = hanatd.status().daemon.hooks;
  ASSERT_TRUE(hooks);
  EXPECT_EQ(hooks->running, 1U);
  EXPECT_EQ(hooks->waiting, 100U);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(hanatd.stop(), 0);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 3s) << "nor does the end wait for it";
}

TEST_F(Hooks, MayCallHanatctl) {
  const std::string socket = folder / "socket";
  const std::string program =
      recorder("asks", fmt::format("{} --socket $(cat {}) --json status >{}.new && mv {}.new {}\n", hanatctl_program(), socket,
                                   folder / "status", folder / "status", folder / "status"));
  Hanatd hanatd{lab, fast_service({.extra = hook(program)}), {.start = false}};
  write_text(socket, hanatd.socket());
  hanatd.start();
  hanatd.wait_target("web", "primary");
  ASSERT_TRUE(within(5s, [&] { return std::filesystem::exists(folder / "status"); })) << hanatd.log();
  EXPECT_EQ(json::parse(read_text(folder / "status")).at("services")[0].at("target"), "primary");
}

TEST_F(Hooks, ThatOfTheDaemonIsToldEverythingAndThatOfAServiceOnlyWhereConnectionsGo) {
  const std::string both = "[hanatd]\n" + hook(recorder("all")) + "\n";
  Hanatd hanatd{lab, both + fast_service({.extra = hook(recorder("web"))})};
  hanatd.wait_target("web", "primary");
  wait_both_up(hanatd);
  primary.kill();
  hanatd.wait_target("web", "backup");
  EXPECT_TRUE(within(5s, [&] { return count_of(told("web")) == 2; }));
  ASSERT_EQ(hanatd.ctl({"disable", "web", "primary", "--reason", "repair"}).exit, 0);
  ASSERT_EQ(hanatd.reload(both + fast_service()).exit, 0);
  const auto kinds = [&] {
    std::vector<std::string> found;
    for (const json& document : told("all"))
      for (const json& event : document.at("events")) found.push_back(event.at("event"));
    return found;
  };
  EXPECT_TRUE(within(5s, [&] { return std::ranges::count(kinds(), "reload") == 1; }));
  for (const char* kind : {"start", "target", "health", "flip", "maintenance", "reload"}) EXPECT_THAT(kinds(), Contains(kind));
  for (const json& document : told("web")) EXPECT_TRUE(document.at("event") == "flip" || document.at("event") == "target") << document;
  EXPECT_EQ(count_of(told("web")), 2U);
  EXPECT_EQ(told("web").back().at("why"), "failover");
}

} // namespace
} // namespace hanat::test
