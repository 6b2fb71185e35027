// Programs of exec probes that leave processes in sessions of their own: they do not pile up. Not here: what such a program's result is
// (unit tests of probes).
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/netns/daemon/lifecycle.hpp"

namespace hanat::test {
namespace {

using ExecOrphans = Lifecycle;

/// With zombies.
std::size_t children_of(pid_t process) {
  std::size_t number = 0;
  for (const auto& thread : std::filesystem::directory_iterator{fmt::format("/proc/{}/task", process)}) {
    std::ifstream list{thread.path() / "children"};
    for (pid_t child = 0; list >> child;) ++number;
  }
  return number;
}

TEST_F(ExecOrphans, AreEndedAndReaped) {
  const auto marks = std::filesystem::temp_directory_path() / fmt::format("hanat-orphans-{}", getpid());
  std::ofstream{marks};
  const std::string program = fmt::format(R"(["/bin/sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & echo x >> {}"])", marks.string());
  Hanatd hanatd{lab, fast_service({.probe = "type = \"exec\", command = " + program})};
  hanatd.wait_target("web", "primary");
  const auto probes = [&] { return std::filesystem::file_size(marks) / 2; };
  for (int wait = 0; wait < 1'000 && probes() < 40; ++wait) std::this_thread::sleep_for(milliseconds{10});
  ASSERT_GE(probes(), 40U);
  EXPECT_LE(children_of(hanatd.pid()), 12U) << "those of the last probes";
  std::filesystem::remove(marks);
}

} // namespace
} // namespace hanat::test
