// A thread that runs one job at a time besides the loop. The caller of run() waits for the end of the job up to a deadline, then continues
// without it. Not here: the jobs (nftables transactions wait while another program changes nftables; copies of files wait for the disk).
#pragma once

#include <functional>
#include <memory>

#include <uv.h>

#include "nat/clock.hpp"
#include "probes/io/uv.hpp"

namespace hanat {

class WorkerThread {
public:
  using Job = std::function<void()>; // must not throw
  enum class AtEnd : std::uint8_t {
    wait,  // the destructor waits for the job
    leave, // a job that hangs goes on without its owner, so it may use nothing of it
  };
  /// `on_late` is called on the loop at the end of every job that took longer than run() waited.
  WorkerThread(uv_loop_t* loop, std::function<void()> on_late, AtEnd at_end = AtEnd::wait);
  ~WorkerThread();
  WorkerThread(const WorkerThread&) = delete;
  WorkerThread& operator=(const WorkerThread&) = delete;

  /// A late job runs, or has ended and on_late() is still to be called.
  bool busy() const { return late_; }
  /// Must not be called while busy. True: the job has ended. False: on_late() will be called when it has.
  bool run(Job job, Clock::duration wait);
  /// Waits for the end of a late job. True: it has ended, and on_late() will not be called for it. False: there is none, or it still runs.
  bool join(Clock::duration wait = std::chrono::hours{1});

private:
  struct Shared;
  static void work(Shared& shared);
  void on_ended();

  std::function<void()> on_late_;
  AtEnd at_end_;
  UvHandle<uv_async_t> ended_;
  bool late_ = false; // used by the loop's thread only
  std::shared_ptr<Shared> shared_;
};

} // namespace hanat
