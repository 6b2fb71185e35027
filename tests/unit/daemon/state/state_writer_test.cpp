// How long a write waits for the disk.
// Not here: what is written (state_file_test).
#include "daemon/state/state_writer.hpp"

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <uv.h>

namespace hanat {
namespace {

using namespace std::chrono_literals;

State forced_by(const std::string& who) {
  return {.overrides = {{.service = "web", .target = "backup", .until = {}, .reason = {}, .by = who}}, .drains = {}};
}

TEST(StateWriter, StopsWaitingForAHangingDiskAndWritesTheLastStateWhenItResponds) {
  uv_loop_t loop;
  uv_loop_init(&loop);
  std::atomic<bool> hangs = true;
  std::vector<std::string> saved, failures;
  {
    StateWriter writer{&loop, [&](const std::string& error) { failures.push_back(error); },
                       [&](const State& state) {
                         while (hangs) std::this_thread::sleep_for(1ms);
                         saved.push_back(state.overrides.front().by);
                       },
                       50ms};
    const auto start = std::chrono::steady_clock::now();
    for (const char* who : {"first", "second", "third"}) writer.save_now(forced_by(who));
    EXPECT_LT(std::chrono::steady_clock::now() - start, 1s) << "50 ms each";
    EXPECT_EQ(failures.size(), 3U);
    hangs = false;
    writer.finish();
    EXPECT_EQ(failures.size(), 3U);
  }
  EXPECT_EQ(saved, (std::vector<std::string>{"first", "third"}));
  uv_run(&loop, UV_RUN_DEFAULT);
  EXPECT_EQ(uv_loop_close(&loop), 0);
}

} // namespace
} // namespace hanat
