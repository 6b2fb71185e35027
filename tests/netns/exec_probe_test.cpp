// The exec kind with real programs: good, failing, hanging, endless ones; and what is left of them.
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

#include "probes/exec.hpp"
#include "tests/netns/probing.hpp"
#include "tests/netns/scripted.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using probes::Answer;
using probes::Kind;
using probes::Outcome;
using probes::Reason;

probes::Question exec_question(std::vector<std::string> command, std::chrono::milliseconds timeout = 5s) {
  auto question = tcp_question(at("198.18.0.1", 8443), timeout);
  question.spec.kind = Kind::exec;
  question.spec.edit<probes::ExecSpec>().command = std::move(command);
  return question;
}
Answer run_script(const std::string& script, std::chrono::milliseconds timeout = 5s) {
  return ask_once(exec_question({"/bin/sh", "-c", script}, timeout));
}

class ScratchFolder {
public:
  ScratchFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "hanat-exec-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~ScratchFolder() { std::filesystem::remove_all(path_); }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  std::string file(const char* name) const { return (path_ / name).string(); }
  std::string text(const char* name) const {
    std::ifstream stream{path_ / name};
    return {std::istreambuf_iterator<char>{stream}, {}};
  }

private:
  std::filesystem::path path_;
};

/// Gone, or dead and not yet taken away by its new parent.
bool is_gone(pid_t pid) {
  std::ifstream status{fmt::format("/proc/{}/stat", pid)};
  std::string line;
  std::getline(status, line);
  return line.empty() || line.find(") Z") != std::string::npos || line.find(") X") != std::string::npos;
}

/// A killed process needs a moment; it is no child of ours, so nothing tells of its end.
bool soon_gone(pid_t pid) {
  for (int tries = 0; tries < 400 && !is_gone(pid); ++tries) std::this_thread::sleep_for(5ms);
  return is_gone(pid);
}

/// Not even a zombie of it is left.
bool is_reaped(pid_t pid) { return !std::filesystem::exists(fmt::format("/proc/{}", pid)); }

std::vector<pid_t> pids_in(const std::string& text) {
  std::istringstream list{text};
  return {std::istream_iterator<pid_t>{list}, {}};
}

TEST(ExecProbe, IsNotKeptFromBeingKilledForWantOfMemory) {
  std::ofstream{"/proc/self/oom_score_adj"} << -900;
  const Answer answer = run_script("sleep 0.3; read adjusted </proc/self/oom_score_adj; [ \"$adjusted\" = 0 ]");
  std::ofstream{"/proc/self/oom_score_adj"} << 0;
  EXPECT_EQ(answer.outcome, Outcome::normal) << answer.detail;
}

TEST(ProbeExec, ExitStatusAndFirstLineAreTold) {
  isolated([] {
    EXPECT_EQ(ask_once(exec_question({"/bin/true"})).reason, Reason::answered);
    EXPECT_EQ(ask_once(exec_question({"/bin/false"})).detail, "exit 1");
    const Answer sick = run_script("echo 'disk full' >&2; echo second; exit 2");
    EXPECT_EQ(sick.outcome, Outcome::abnormal);
    EXPECT_EQ(sick.reason, Reason::wrong_answer);
    EXPECT_EQ(sick.detail, "exit 2: disk full");
    EXPECT_EQ(run_script("kill -9 $$").detail, "signal 9");
    EXPECT_EQ(run_script("printf '\\033]0;x\\007'; exit 3").detail, "exit 3: ?]0;x?");
    EXPECT_EQ(run_script("exec >&- 2>&-; exit 4").detail, "exit 4");
  });
}

TEST(ProbeExec, AProgramThatCannotBeStartedIsOurFailure) {
  isolated([] {
    for (const auto& [program, reason] : {std::pair{"/no/such/program", Reason::local_error}, {"/etc/passwd", Reason::forbidden}}) {
      const Answer answer = ask_once(exec_question({program}));
      EXPECT_EQ(answer.outcome, Outcome::blind);
      EXPECT_EQ(answer.reason, reason) << answer.detail;
    }
  });
}

TEST(ProbeExec, AnIgnoredSignalOfAProgramsEndDoesNotMatter) {
  isolated([] {
    const auto before = signal(SIGCHLD, SIG_IGN);
    EXPECT_EQ(ask_once(exec_question({"/bin/false"})).detail, "exit 1");
    signal(SIGCHLD, before);
  });
}

TEST(ProbeExec, WhatSomebodyElseReapedIsNotKnown) {
  isolated([] {
    Probing probing;
    probing.engine->add(exec_question({"/bin/sh", "-c", "sleep 0.05; exit 1"}), {.interval = 60s}, 0s);
    ASSERT_TRUE(probing.run_until([&] { return probing.engine->under_way() == 1; }));
    const auto before = signal(SIGCHLD, SIG_IGN);
    EXPECT_TRUE(probing.run_until([&] { return !probing.heard.empty(); }));
    signal(SIGCHLD, before);
    ASSERT_FALSE(probing.heard.empty());
    EXPECT_EQ(probing.heard[0].answer.outcome, Outcome::blind);
    EXPECT_EQ(probing.heard[0].answer.reason, Reason::local_error);
  });
}

TEST(ProbeExec, ItsSurroundingsAreBare) {
  isolated([] {
    const ScratchFolder scratch;
    setenv("HANAT_TEST_SECRET", "x", 1);
    const int leak = open("/dev/null", O_RDONLY); // without O_CLOEXEC
    EXPECT_EQ(
        run_script(fmt::format("(env | sort; pwd; ls -l /proc/self/fd/0 | grep -o '[^ ]*$'; ls /proc/$$/fd | tr '\\n' ' '; trap) > {}; cat",
                               scratch.file("out")))
            .reason,
        Reason::answered); // cat ends at once: nothing to read
    close(leak);
    unsetenv("HANAT_TEST_SECRET");
    // "10" is where sh keeps what it redirected; PWD is of its own making.
    const std::string text = scratch.text("out");
    EXPECT_EQ(text.substr(0, text.find("PATH=")), "HANAT_ADDRESS=198.18.0.1\nHANAT_PORT=8443\n");
    EXPECT_EQ(text.substr(text.find("PWD=")), "PWD=/\n/\n/dev/null\n0 1 2 ") << text;
  });
}

TEST(ProbeExec, ATimeoutKillsItAndAllThatItStarted) {
  isolated([] {
    const ScratchFolder scratch;
    const auto pids = scratch.file("pids");
    const auto script =
        fmt::format("trap '' TERM HUP INT; sh -c 'trap \"\" TERM; echo $$ >> {0}; while :; do sleep 100; done' & echo $$ >> {0}; "
                    "echo still here; while :; do sleep 100; done",
                    pids);
    const Answer answer = run_script(script, 500ms);
    EXPECT_EQ(answer.reason, Reason::timeout);
    EXPECT_EQ(answer.detail, "still here");
    EXPECT_TRUE(at_deadline(answer.latency, 500ms));
    const auto all = pids_in(scratch.text("pids"));
    EXPECT_EQ(all.size(), 2U);
    for (const pid_t pid : all) EXPECT_TRUE(soon_gone(pid)) << pid;
  });
}

TEST(ProbeExec, WhatAProgramLeavesBehindIsEnded) {
  isolated([] {
    const ScratchFolder scratch;
    const Answer answer = run_script(fmt::format("sleep 100 & echo $! > {}", scratch.file("pid")));
    EXPECT_EQ(answer.reason, Reason::answered); // though the other one holds the pipe
    EXPECT_LT(answer.latency, 1s);
    const pid_t left = std::stoi(scratch.text("pid"));
    EXPECT_TRUE(soon_gone(left));
  });
}

TEST(ProbeExec, EndlessOutputIsBrokenOff) {
  isolated([] {
    const Answer answer = ask_once(exec_question({"/usr/bin/yes", "much\x1btext"}));
    EXPECT_EQ(answer.outcome, Outcome::abnormal);
    EXPECT_EQ(answer.reason, Reason::too_large);
    EXPECT_EQ(answer.detail, "much?text");
    EXPECT_LT(answer.latency, 1s);
    EXPECT_EQ(run_script("head -c 60000 /dev/zero").reason, Reason::answered);
  });
}

TEST(ProbeExec, SoManyAtOnceAndTheyAreAllGoneAtTheEnd) {
  isolated([] {
    constexpr std::size_t most = probes::Exec::most_programs;
    const ScratchFolder scratch;
    {
      Probing probing;
      const auto question = exec_question({"/bin/sh", "-c", fmt::format("echo $$ >> {}; exec sleep 100", scratch.file("pids"))}, 30s);
      for (std::size_t count = 0; count < most + 10; ++count) probing.engine->add(variant(question, count), {.interval = 60s}, 0s);
      ASSERT_TRUE(probing.run_until([&] { return probing.heard.size() == 10; }));
      for (const auto& heard : probing.heard) {
        EXPECT_EQ(heard.answer.outcome, Outcome::blind);
        EXPECT_EQ(heard.answer.reason, Reason::no_processes);
      }
      EXPECT_EQ(probing.engine->under_way(), most);
      ASSERT_TRUE(probing.run_until([&] { return pids_in(scratch.text("pids")).size() == most; }));
    }
    for (const pid_t pid : pids_in(scratch.text("pids"))) EXPECT_TRUE(is_reaped(pid)) << pid;
  });
}

TEST(ProbeExec, ARemovedQuestionLeavesNothing) {
  isolated([] {
    for (const bool running : {false, true}) { // else most have not begun to run
      const ScratchFolder scratch;
      const auto question = exec_question({"/bin/sh", "-c", fmt::format("echo $$ >> {}; exec sleep 100", scratch.file("pids"))});
      Probing probing;
      std::vector<probes::QuestionId> ids;
      for (std::size_t count = 0; count < 10; ++count)
        ids.push_back(probing.engine->add(variant(question, count), {.interval = 20ms, .in_flight = 2}, 0s));
      ASSERT_TRUE(probing.run_until([&] { return probing.engine->under_way() == 20; }));
      const auto pids = [&] { return pids_in(scratch.text("pids")); };
      ASSERT_TRUE(probing.run_until([&] { return !running || pids().size() == 20; }));
      for (const auto id : ids) probing.engine->remove(id);
      // One that had not begun to run may still write, and is killed then.
      unsigned calm = 0;
      ASSERT_TRUE(probing.run_until([&] { return (calm = std::ranges::all_of(pids(), is_reaped) ? calm + 1 : 0) >= 30; }));
      EXPECT_TRUE(probing.heard.empty());
    }
  });
}

TEST(ProbeExec, AProgramCostsTheLoopLittle) {
  isolated([] {
    Probing probing;
    for (std::size_t count = 0; count < 50; ++count)
      probing.engine->add(variant(exec_question({"/bin/true"}, 1s), count), {.interval = 500ms}, 500ms);
    rusage before{}, after{};
    getrusage(RUSAGE_THREAD, &before);
    probing.run_for(1s);
    getrusage(RUSAGE_THREAD, &after);
    print_lateness(probing, "100 exec questions a second for 1 s");
    const auto cpu = [](const rusage& usage) {
      return static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3 +
             static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3;
    };
    fmt::print("  cpu of the loop's thread a program: {:.2f} ms\n", (cpu(after) - cpu(before)) / static_cast<double>(probing.heard.size()));
    for (const auto& heard : probing.heard) EXPECT_EQ(heard.answer.outcome, Outcome::normal) << heard.answer.detail;
    EXPECT_GE(probing.heard.size(), 50U);
  });
}

} // namespace
} // namespace hanat::test
