// Jobs beside the loop: one after the other, and one that hangs when its queue ends. Not here: who uses them.
#include "daemon/util/job_queue.hpp"

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hanat {
namespace {

using testing::ElementsAre;

class JobQueueTest : public testing::Test {
protected:
  uv_loop_t loop{};
  void SetUp() override { uv_loop_init(&loop); }
  void TearDown() override {
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
  }
};

TEST_F(JobQueueTest, RunsOneJobAfterTheOther) {
  JobQueue queue{&loop};
  std::vector<int> order;
  for (int number = 0; number < 3; ++number)
    queue.run([&order, number] { order.push_back(10 * number); }, [&order, number] { order.push_back(10 * number + 1); });
  queue.finish();
  EXPECT_THAT(order, ElementsAre(0, 1, 10, 11, 20, 21));
  EXPECT_EQ(queue.waiting(), 0U);
}

TEST_F(JobQueueTest, AJobThatHangsIsLeftWhereThatIsAllowed) {
  const auto release = std::make_shared<std::atomic<bool>>(false), ended = std::make_shared<std::atomic<bool>>(false);
  bool done = false;
  {
    JobQueue queue{&loop, WorkerThread::AtEnd::leave};
    queue.run(
        [release, ended] {
          while (!*release) std::this_thread::sleep_for(std::chrono::milliseconds{1});
          *ended = true;
        },
        [&done] { done = true; });
    uv_run(&loop, UV_RUN_NOWAIT);
  }
  EXPECT_FALSE(*ended) << "nobody waited for it";
  *release = true;
  while (!*ended) std::this_thread::sleep_for(std::chrono::milliseconds{1});
  uv_run(&loop, UV_RUN_NOWAIT);
  EXPECT_FALSE(done) << "its queue is gone";
}

} // namespace
} // namespace hanat
