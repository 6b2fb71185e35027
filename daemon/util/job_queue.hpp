// Jobs on a thread of its own, one after the other, each with what follows on the loop. Not here: the jobs; one job without a queue
// (worker_thread).
#pragma once

#include <cstddef>
#include <deque>
#include <functional>

#include <uv.h>

#include "daemon/util/worker_thread.hpp"

namespace hanat {

class JobQueue {
public:
  explicit JobQueue(uv_loop_t* loop, WorkerThread::AtEnd at_end = WorkerThread::AtEnd::wait);
  JobQueue(const JobQueue&) = delete;
  JobQueue& operator=(const JobQueue&) = delete;

  /// `job` must not throw; `done` is called on the loop, perhaps at once.
  void run(std::function<void()> job, std::function<void()> done);
  /// Waits until all is done.
  void finish();
  /// Jobs that have not begun.
  std::size_t waiting() const { return waiting_.size(); }

private:
  struct Order {
    std::function<void()> job, done;
  };
  void start_next();
  void on_done();

  std::deque<Order> waiting_;
  std::function<void()> done_; // of the job that runs; empty: none
  WorkerThread thread_;
};

} // namespace hanat
