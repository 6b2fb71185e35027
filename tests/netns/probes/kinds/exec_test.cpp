// Kind exec with real programs: passing, failing, hanging, endless; and what is left of them.
// Not here: what an exit status means (unit tests of kinds/exec_answer).
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include "probes/kinds/exec.hpp"
#include "tests/netns/lab/probing.hpp"
#include "tests/netns/lab/scripted.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using probes::Kind;
using probes::Outcome;
using probes::ProbeResult;
using probes::Reason;

probes::Probe exec_probe(std::vector<std::string> command, std::chrono::milliseconds timeout = 5s) {
  auto probe = tcp_probe(at("198.18.0.1", 8443), timeout);
  probe.spec.kind = Kind::exec;
  probe.spec.edit<probes::ExecSpec>().command = std::move(command);
  return probe;
}
ProbeResult run_script(const std::string& script, std::chrono::milliseconds timeout = 5s) {
  return probe_once(exec_probe({"/bin/sh", "-c", script}, timeout));
}

/// Gone, or dead and not reaped yet by its new parent.
bool is_gone(pid_t pid) {
  std::ifstream status{fmt::format("/proc/{}/stat", pid)};
  std::string line;
  std::getline(status, line);
  return line.empty() || line.find(") Z") != std::string::npos || line.find(") X") != std::string::npos;
}

/// Waits for a killed process that is no child of this one.
bool soon_gone(pid_t pid) {
  for (int tries = 0; tries < 4'000 && !is_gone(pid); ++tries) std::this_thread::sleep_for(5ms);
  return is_gone(pid);
}

/// Gone, and no zombie either.
bool is_reaped(pid_t pid) { return !std::filesystem::exists(fmt::format("/proc/{}", pid)); }

std::vector<pid_t> pids_in(const std::string& text) {
  std::istringstream list{text};
  return {std::istream_iterator<pid_t>{list}, {}};
}

TEST(ProbeExec, AProgramIsNotProtectedFromTheOomKiller) {
  std::ofstream{"/proc/self/oom_score_adj"} << -900;
  const ProbeResult result = run_script("sleep 0.3; read adjusted </proc/self/oom_score_adj; [ \"$adjusted\" = 0 ]");
  std::ofstream{"/proc/self/oom_score_adj"} << 0;
  EXPECT_EQ(result.outcome, Outcome::pass) << result.detail;
}

TEST(ProbeExec, TheDetailHasExitStatusAndFirstLine) {
  isolated([] {
    EXPECT_EQ(probe_once(exec_probe({"/bin/true"})).reason, Reason::answered);
    EXPECT_EQ(probe_once(exec_probe({"/bin/false"})).detail, "exit status 1");
    const ProbeResult sick = run_script("echo 'disk full' >&2; echo second; exit 2");
    EXPECT_EQ(sick.outcome, Outcome::fail);
    EXPECT_EQ(sick.reason, Reason::wrong_answer);
    EXPECT_EQ(sick.detail, "exit status 2: disk full");
    EXPECT_EQ(run_script("kill -9 $$").detail, "killed by signal 9");
    EXPECT_EQ(run_script("printf '\\033]0;x\\007'; exit 3").detail, "exit status 3: ?]0;x?");
    EXPECT_EQ(run_script("exec >&- 2>&-; exit 4").detail, "exit status 4");
  });
}

TEST(ProbeExec, AProgramThatCannotBeStartedIsALocalFailure) {
  isolated([] {
    for (const auto& [program, reason] : {std::pair{"/no/such/program", Reason::local_error}, {"/etc/passwd", Reason::forbidden}}) {
      const ProbeResult result = probe_once(exec_probe({program}));
      EXPECT_EQ(result.outcome, Outcome::inconclusive);
      EXPECT_EQ(result.reason, reason) << result.detail;
    }
  });
}

TEST(ProbeExec, AnIgnoredSigchldDoesNotMatter) {
  isolated([] {
    const auto before = signal(SIGCHLD, SIG_IGN);
    EXPECT_EQ(probe_once(exec_probe({"/bin/false"})).detail, "exit status 1");
    signal(SIGCHLD, before);
  });
}

TEST(ProbeExec, AProgramReapedByOthersIsInconclusive) {
  isolated([] {
    Probing probing;
    probing.scheduler->add(exec_probe({"/bin/sh", "-c", "sleep 0.05; exit 1"}), {.interval = 60s}, 0s);
    ASSERT_TRUE(probing.run_until([&] { return probing.scheduler->in_flight() == 1; }));
    const auto before = signal(SIGCHLD, SIG_IGN);
    EXPECT_TRUE(probing.run_until([&] { return !probing.results.empty(); }));
    signal(SIGCHLD, before);
    ASSERT_FALSE(probing.results.empty());
    EXPECT_EQ(probing.results[0].result.outcome, Outcome::inconclusive);
    EXPECT_EQ(probing.results[0].result.reason, Reason::local_error);
  });
}

TEST(ProbeExec, ItsEnvironmentIsBare) {
  isolated([] {
    const TempFolder scratch;
    setenv("HANAT_TEST_SECRET", "x", 1);
    const int leak = open("/dev/null", O_RDONLY); // without O_CLOEXEC
    EXPECT_EQ(
        run_script(fmt::format("(env | sort; pwd; ls -l /proc/self/fd/0 | grep -o '[^ ]*$'; ls /proc/$$/fd | tr '\\n' ' '; trap) > {}; cat",
                               scratch.file("out")))
            .reason,
        Reason::answered); // cat exits at once: nothing to read
    close(leak);
    unsetenv("HANAT_TEST_SECRET");
    // "10" is where sh saves a redirected descriptor; sh sets PWD.
    const std::string text = scratch.read("out");
    EXPECT_EQ(text.substr(0, text.find("PATH=")), "HANAT_ADDRESS=198.18.0.1\nHANAT_PORT=8443\n");
    EXPECT_EQ(text.substr(text.find("PWD=")), "PWD=/\n/\n/dev/null\n0 1 2 ") << text;
  });
}

TEST(ProbeExec, ATimeoutKillsTheProcessGroup) {
  isolated([] {
    const TempFolder scratch;
    const auto pids = scratch.file("pids");
    const auto script =
        fmt::format("trap '' TERM HUP INT; sh -c 'trap \"\" TERM; echo $$ >> {0}; while :; do sleep 100; done' & echo $$ >> {0}; "
                    "echo still here; while :; do sleep 100; done",
                    pids);
    const ProbeResult result = run_script(script, 500ms);
    EXPECT_EQ(result.reason, Reason::timeout);
    EXPECT_EQ(result.detail, "still here");
    EXPECT_TRUE(at_deadline(result.latency, 500ms));
    const auto all = pids_in(scratch.read("pids"));
    EXPECT_EQ(all.size(), 2U);
    for (const pid_t pid : all) EXPECT_TRUE(soon_gone(pid)) << pid;
  });
}

TEST(ProbeExec, ChildrenLeftBehindAreKilled) {
  isolated([] {
    const TempFolder scratch;
    const ProbeResult result = run_script(fmt::format("sleep 100 & echo $! > {}", scratch.file("pid")));
    EXPECT_EQ(result.reason, Reason::answered); // though the child holds the pipe
    EXPECT_LT(result.latency, 1s);
    const pid_t left = std::stoi(scratch.read("pid"));
    EXPECT_TRUE(soon_gone(left));
  });
}

TEST(ProbeExec, EndlessOutputIsAborted) {
  isolated([] {
    const ProbeResult result = probe_once(exec_probe({"/usr/bin/yes", "much\x1btext"}));
    EXPECT_EQ(result.outcome, Outcome::fail);
    EXPECT_EQ(result.reason, Reason::too_large);
    EXPECT_EQ(result.detail, "much?text");
    EXPECT_LT(result.latency, 1s);
    EXPECT_EQ(run_script("head -c 60000 /dev/zero").reason, Reason::answered);
  });
}

TEST(ProbeExec, TheNumberOfProgramsIsLimitedAndAllAreReapedAtTheEnd) {
  isolated([] {
    constexpr std::size_t max = probes::Exec::max_programs;
    const TempFolder scratch;
    {
      Probing probing;
      const auto probe = exec_probe({"/bin/sh", "-c", fmt::format("echo $$ >> {}; exec sleep 100", scratch.file("pids"))}, 30s);
      for (std::size_t count = 0; count < max + 10; ++count) probing.scheduler->add(variant(probe, count), {.interval = 60s}, 0s);
      ASSERT_TRUE(probing.run_until([&] { return probing.results.size() == 10; }));
      for (const auto& received : probing.results) {
        EXPECT_EQ(received.result.outcome, Outcome::inconclusive);
        EXPECT_EQ(received.result.reason, Reason::no_processes);
      }
      EXPECT_EQ(probing.scheduler->in_flight(), max);
      ASSERT_TRUE(probing.run_until([&] { return pids_in(scratch.read("pids")).size() == max; }));
    }
    for (const pid_t pid : pids_in(scratch.read("pids"))) EXPECT_TRUE(is_reaped(pid)) << pid;
  });
}

TEST(ProbeExec, ARemovedProbeLeavesNoProgram) {
  isolated([] {
    for (const bool running : {false, true}) { // false: most have not been started yet
      const TempFolder scratch;
      const auto probe = exec_probe({"/bin/sh", "-c", fmt::format("echo $$ >> {}; exec sleep 100", scratch.file("pids"))});
      Probing probing;
      std::vector<probes::ProbeId> ids;
      for (std::size_t count = 0; count < 10; ++count)
        ids.push_back(probing.scheduler->add(variant(probe, count), {.interval = 20ms, .in_flight = 2}, 0s));
      ASSERT_TRUE(probing.run_until([&] { return probing.scheduler->in_flight() == 20; }));
      const auto pids = [&] { return pids_in(scratch.read("pids")); };
      ASSERT_TRUE(probing.run_until([&] { return !running || pids().size() == 20; }));
      for (const auto id : ids) probing.scheduler->remove(id);
      // A program that was not started yet may still write, and is killed then.
      unsigned quiet_turns = 0;
      ASSERT_TRUE(probing.run_until([&] { return (quiet_turns = std::ranges::all_of(pids(), is_reaped) ? quiet_turns + 1 : 0) >= 30; }));
      EXPECT_TRUE(probing.results.empty());
    }
  });
}

TEST(ProbeExec, AProgramCostsTheLoopLittle) {
  isolated([] {
    Probing probing;
    for (std::size_t count = 0; count < 50; ++count)
      probing.scheduler->add(variant(exec_probe({"/bin/true"}, 1s), count), {.interval = 500ms}, 500ms);
    rusage before{}, after{};
    getrusage(RUSAGE_THREAD, &before);
    EXPECT_TRUE(probing.run_until([&] { return probing.results.size() >= 50; }, 30s));
    getrusage(RUSAGE_THREAD, &after);
    print_lateness(probing, "100 exec probes a second");
    const auto cpu = [](const rusage& usage) {
      return static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3 +
             static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3;
    };
    fmt::print("  cpu of the loop's thread a program: {:.2f} ms\n",
               (cpu(after) - cpu(before)) / static_cast<double>(probing.results.size()));
    for (const auto& received : probing.results) EXPECT_EQ(received.result.outcome, Outcome::pass) << received.result.detail;
  });
}

} // namespace
} // namespace hanat::test
