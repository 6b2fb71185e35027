// A thread that does one job at a time beside the loop. Whoever gives it a job waits a moment for the end, and goes on when it takes
// longer. Not here: the jobs (gateway: transactions, which wait for everybody else who changes nftables).
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include <uv.h>

#include "daemon/uv_handle.hpp"
#include "probes/spec.hpp"

namespace hanat {

class SideThread {
public:
  using Job = std::function<void()>; // must not throw
  /// `late` is called on the loop for every job that took longer than its giver waited.
  SideThread(uv_loop_t* loop, std::function<void()> late);
  ~SideThread(); // waits for the job
  SideThread(const SideThread&) = delete;
  SideThread& operator=(const SideThread&) = delete;

  /// A job is under way, or has ended and late() is still to come.
  bool busy() const { return waited_for_; }
  /// Never while busy. True: the job is done. False: late() will be called when it is.
  bool run(Job job, probes::Clock::duration patience);
  /// Waits for the job's end. True: there was one, and late() will not be called for it. False: there was none, or it took longer.
  bool join(probes::Clock::duration patience = std::chrono::hours{1});

private:
  void work();
  void on_ended();

  std::function<void()> late_;
  UvHandle<uv_async_t> ended_;
  bool waited_for_ = false; // the loop's own note

  std::mutex mutex_;
  std::condition_variable changed_;
  Job job_; // empty: nothing to do
  bool tell_ = false, over_ = false;
  std::thread thread_; // the last, since it uses all the others
};

} // namespace hanat
