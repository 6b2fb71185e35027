// A thread that runs one job at a time besides the loop. The caller of run() waits for the end of the job up to a deadline, then continues
// without it. Not here: the jobs (nftables transactions wait while another program changes nftables; copies of files wait for the disk).
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include <uv.h>

#include "nat/clock.hpp"
#include "probes/io/uv.hpp"

namespace hanat {

class WorkerThread {
public:
  using Job = std::function<void()>; // must not throw
  /// `on_late` is called on the loop at the end of every job that took longer than run() waited.
  WorkerThread(uv_loop_t* loop, std::function<void()> on_late);
  ~WorkerThread(); // waits for the job
  WorkerThread(const WorkerThread&) = delete;
  WorkerThread& operator=(const WorkerThread&) = delete;

  /// A late job runs, or has ended and on_late() is still to be called.
  bool busy() const { return late_; }
  /// Must not be called while busy. True: the job has ended. False: on_late() will be called when it has.
  bool run(Job job, Clock::duration wait);
  /// Waits for the end of a late job. True: it has ended, and on_late() will not be called for it. False: there is none, or it still runs.
  bool join(Clock::duration wait = std::chrono::hours{1});

private:
  void work();
  void on_ended();

  std::function<void()> on_late_;
  UvHandle<uv_async_t> ended_;
  bool late_ = false; // used by the loop's thread only

  std::mutex mutex_;
  std::condition_variable changed_;
  Job job_; // empty: none
  bool notify_ = false, stopping_ = false;
  std::thread thread_; // last, since it uses the others
};

} // namespace hanat
