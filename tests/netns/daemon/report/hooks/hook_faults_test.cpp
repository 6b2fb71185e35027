// Programs of hooks that fail, hang, leave others behind, or could be changed by somebody else. Not here: what they are told (hooks_test).
#include <chrono>
#include <csignal>
#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/netns/daemon/report/hooks/hook_kit.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class HookFaults : public HookTest {
protected:
  static std::uint64_t calls(const Hanatd& hanatd, const std::string& result) {
    const auto hooks = hanatd.status().daemon.hooks;
    return hooks ? hooks->calls.at(result) : 0;
  }
  /// Gone, or dead and not reaped.
  static bool is_gone(pid_t pid) {
    const std::string status = read_text(fmt::format("/proc/{}/stat", pid));
    return status.empty() || status.find(") Z") != std::string::npos;
  }
};

TEST_F(HookFaults, AreInTheJournalAndCounted) {
  const std::string text = script("text", "");
  write_text(text, "neither a script nor a program\n");
  const std::string endless = "head -c 3000000 /dev/zero\ntouch " + (folder / "done") + "\n"; // a pipe has room for 65,536
  Hanatd hanatd{lab, "[hanatd]\n" + hook(recorder("all")) + "\n" +
                         fast_service({.extra = hook(script("bad", "echo no such host >&2; echo more; exit 3\n"))}) +
                         fast_service({.name = "killed", .listen = "203.0.113.10:444/tcp", .extra = hook(script("kill", "kill -9 $$\n"))}) +
                         fast_service({.name = "none", .listen = "203.0.113.10:445/tcp", .extra = hook(text)}) +
                         fast_service({.name = "writes", .listen = "203.0.113.10:446/tcp", .extra = hook(script("writes", endless))})};
  hanatd.wait_target("web", "primary");
  hanatd.wait_target("killed", "primary");
  ASSERT_TRUE(within(5s, [&] { return calls(hanatd, "exit-status") == 1 && calls(hanatd, "signal") == 1; })) << hanatd.log();
  EXPECT_THAT(hanatd.log(), HasSubstr("web: the hook " + (folder / "bad") + " failed with exit status 3 (no such host)"));
  EXPECT_THAT(hanatd.log(), HasSubstr("killed: the hook " + (folder / "kill") + " was ended by signal 9"));
  ASSERT_TRUE(within(5s, [&] { return calls(hanatd, "not-started") == 1; })) << hanatd.log();
  EXPECT_THAT(hanatd.log(), HasSubstr("none: the hook " + text + " could not be started: Exec format error"));
  EXPECT_TRUE(within(5s, [&] { return std::filesystem::exists(folder / "done"); })) << "what writes without end does not wait";
  EXPECT_THAT(hanatd.ctl({"metrics"}).out, HasSubstr("hanat_hook_calls_total{result=\"exit-status\"} 1\n"));
  const auto hears = [&] {
    for (const auto& document : told("all"))
      for (const auto& event : document.at("events"))
        if (event.at("event") == "hook" && event.at("service") == "web") return true;
    return false;
  };
  EXPECT_TRUE(within(5s, hears)) << "that of [hanatd] hears of it";
  EXPECT_TRUE(within(5s, [&] { return calls(hanatd, "ok") == told("all").size() + 1; })) << "and that which writes";
}

TEST_F(HookFaults, AHookOfTheDaemonThatFailsIsNotToldOfItself) {
  Hanatd hanatd{lab, "[hanatd]\n" + hook(recorder("all", "exit 1\n")) + "\n"};
  ASSERT_TRUE(within(5s, [&] { return calls(hanatd, "exit-status") == 1; }));
  std::this_thread::sleep_for(1'200ms); // when it would be called again
  EXPECT_EQ(calls(hanatd, "exit-status"), 1U) << hanatd.log();
}

TEST_F(HookFaults, AtTheTimeLimitTheWholeGroupIsEnded) {
  // One child ends by SIGTERM, one ignores it, one is in a session of its own. A program that itself ignores it has two seconds.
  const std::string body = fmt::format("echo late\nsleep 1000 & echo $! >{0}\n(trap '' TERM; echo $(exec sh -c 'echo $PPID') >>{0}; "
                                       "while :; do sleep 1; done) &\nsetsid sleep 1000 & echo $! >>{0}\nsleep 0.1; touch {1}\nwait\n",
                                       folder / "pids", folder / "ready");
  const std::string limit = "hook_timeout = \"600ms\"\n", stubborn = script("stubborn", "trap '' TERM\nwhile :; do sleep 0.1; done\n");
  Hanatd hanatd{lab, fast_service({.extra = limit + hook(script("hangs", body))}) +
                         fast_service({.name = "stubborn", .listen = "203.0.113.10:444/tcp", .extra = limit + hook(stubborn)})};
  hanatd.wait_target("web", "primary");
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(within(5s, [&] { return calls(hanatd, "time-limit") == 1; })) << hanatd.log();
  ASSERT_TRUE(std::filesystem::exists(folder / "ready"));
  EXPECT_THAT(hanatd.log(), HasSubstr("web: the hook " + (folder / "hangs") +
                                      " did not end within 600ms (hook_timeout), and was ended with its children (late)"));
  std::ifstream pids{folder / "pids"};
  int number = 0;
  for (pid_t pid = 0; pids >> pid; ++number) EXPECT_TRUE(within(4s, [pid] { return is_gone(pid); })) << pid;
  EXPECT_EQ(number, 3);
  ASSERT_TRUE(within(8s, [&] { return calls(hanatd, "time-limit") == 2; })) << hanatd.log();
  EXPECT_GT(std::chrono::steady_clock::now() - begin, 2s);
}

TEST_F(HookFaults, AProgramThatOthersCanChangeIsRefusedAndNeverRun) {
  const std::string program = recorder("web"), with_hook = fast_service({.extra = hook(program)});
  std::filesystem::permissions(program, std::filesystem::perms{0757});
  const std::string why = program + " can be written by everyone, who could change what is run: chmod go-w " + program;
  Hanatd hanatd{lab, fast_service()};
  hanatd.wait_target("web", "primary");
  const Output reload = hanatd.reload(with_hook);
  EXPECT_NE(reload.exit, 0);
  EXPECT_THAT(reload.err, HasSubstr("the hook \"" + program + "\" of [service.web] cannot be run: " + why));
  const Output check = hanatd.ctl({"check", hanatd.config().string()});
  EXPECT_EQ(check.exit, 2);
  EXPECT_THAT(check.err, HasSubstr(why));
  EXPECT_NE(hanatd.ctl({"plan"}).exit, 0);
  std::filesystem::permissions(program, std::filesystem::perms{0755});
  EXPECT_EQ(hanatd.ctl({"check", hanatd.config().string()}).exit, 0);
  EXPECT_EQ(hanatd.reload(with_hook).exit, 0);
  force(hanatd, "web", "backup");
  ASSERT_TRUE(within(5s, [&] { return told("web").size() == 1; }));
  // It becomes so while hanatd runs, and is so at a start.
  std::filesystem::permissions(program, std::filesystem::perms{0757});
  std::this_thread::sleep_for(1s);
  force(hanatd, "web", "primary");
  ASSERT_TRUE(within(5s, [&] { return calls(hanatd, "not-trusted") == 1; }));
  EXPECT_THAT(hanatd.log(), HasSubstr("web: the hook " + program + " was not run: " + why));
  hanatd.restart();
  hanatd.wait_target("web", "primary");
  EXPECT_THAT(hanatd.log(), HasSubstr("cannot be run: " + why));
  EXPECT_EQ(told("web").size(), 1U);
}

TEST_F(HookFaults, AReloadThatTakesTheHookAwayDropsWhatWaits) {
  Hanatd hanatd{lab, fast_service({.extra = hook(recorder("web", "sleep 0.5\n"))})};
  hanatd.wait_target("web", "primary");
  ASSERT_TRUE(within(5s, [&] { return told("web").size() == 1; }));
  force(hanatd, "web", "backup");
  ASSERT_EQ(hanatd.reload(fast_service()).exit, 0);
  std::this_thread::sleep_for(1'200ms);
  EXPECT_EQ(told("web").size(), 1U);
  EXPECT_FALSE(hanatd.status().daemon.hooks);
}

} // namespace
} // namespace hanat::test
