// The loop comes before busy programs, and nothing else of hanatd does. Not here: how late probes are (bench/probes).
#include "daemon/util/loop_priority.hpp"

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"

namespace hanat::test {
namespace {

constexpr int of_the_loop = -10;

/// The nice value of a thread or a process: the 19th field, the second of which may hold spaces.
int niceness(const std::filesystem::path& process) {
  std::ifstream file{process / "stat"};
  const std::string text{std::istreambuf_iterator<char>{file}, {}};
  std::istringstream fields{text.substr(text.rfind(')') + 1)};
  std::string field;
  for (int number = 3; number <= 19; ++number) fields >> field;
  return std::stoi(field);
}

/// In a process of its own, which ends behind it.
bool holds_in_a_child(const std::function<bool()>& what) {
  const pid_t child = fork();
  if (child == 0) _exit(what() ? 0 : 1);
  int status = 1;
  waitpid(child, &status, 0);
  return status == 0;
}

std::string autogroup() {
  std::ifstream file{"/proc/self/autogroup"};
  return {std::istreambuf_iterator<char>{file}, {}};
}

TEST(LoopPriority, IsOfTheLoopAloneAndNotOfOtherThreadsAndPrograms) {
  Lab lab;
  const TcpServer primary{lab, Host::primary, 8443, "primary"};
  const Hanatd hanatd{lab, R"([service.web]
listen = "203.0.113.10:443/tcp"
primary = "198.18.11.2:8443"
probe = [{ type = "tcp" }, { type = "exec", command = ["/bin/sh", "-c", "[ $(nice) -eq 0 ]"], interval = "100ms", timeout = "2s" }]
)"};
  hanatd.wait_target("web", "primary");
  const std::filesystem::path process = "/proc/" + std::to_string(hanatd.pid());
  EXPECT_EQ(niceness(process), of_the_loop);
  unsigned others = 0;
  for (const auto& thread : std::filesystem::directory_iterator{process / "task"}) {
    if (thread.path().filename() == std::to_string(hanatd.pid())) continue;
    ++others;
    EXPECT_GE(niceness(thread.path()), 0) << thread.path();
  }
  EXPECT_GT(others, 5U);
}

TEST(LoopPriority, IsOfTheSessionThatHanatdLeads) {
  // The kernel's first session, which what an init starts without setsid() is in, has none.
  EXPECT_TRUE(holds_in_a_child([] { return setsid() != -1 && !autogroup().empty(); })) << "this kernel does not know autogroups";
  EXPECT_TRUE(holds_in_a_child([] {
    setsid();
    prefer_this_thread();
    return getpriority(PRIO_PROCESS, 0) == of_the_loop && autogroup().ends_with("nice -10\n");
  }));
}

TEST(LoopPriority, OfASessionThatAShellLeadsIsLeftAlone) {
  EXPECT_TRUE(holds_in_a_child([] {
    setsid();
    return holds_in_a_child([] {
      prefer_this_thread();
      return getpriority(PRIO_PROCESS, 0) == of_the_loop && autogroup().ends_with("nice 0\n");
    });
  }));
}

TEST(LoopPriority, ThatSomebodyGaveStays) {
  EXPECT_TRUE(holds_in_a_child([] {
    setsid();
    setpriority(PRIO_PROCESS, 0, 5);
    prefer_this_thread();
    return getpriority(PRIO_PROCESS, 0) == 5 && autogroup().ends_with("nice 0\n");
  }));
}

TEST(LoopPriority, WithoutTheRightToItIsAsItWas) {
  EXPECT_TRUE(holds_in_a_child([] {
    setsid();
    if (setgid(65'534) != 0 || setuid(65'534) != 0) return false;
    prefer_this_thread();
    return getpriority(PRIO_PROCESS, 0) == 0;
  }));
}

} // namespace
} // namespace hanat::test
