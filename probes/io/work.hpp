// A computation of milliseconds on a thread of libuv's pool, whose end is told on the loop. Not here: what waits for a disk or a directory
// service (daemon/util/job_queue).
#pragma once

#include <functional>
#include <memory>

#include <uv.h>

namespace hanat::probes {

/// One computation. Destroying it cancels only the call at its end: `work` may still run, and must own all that it touches.
class Work {
public:
  ~Work();
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;

private:
  friend std::unique_ptr<Work> start_work(uv_loop_t* loop, std::function<void()> work, std::function<void()> done);
  struct Request;
  explicit Work(Request* request) : request_(request) {}
  Request* request_; // deletes itself when the work has ended
};

/// `done` is called on the loop, never from inside this function; it may destroy the Work.
std::unique_ptr<Work> start_work(uv_loop_t* loop, std::function<void()> work, std::function<void()> done);

} // namespace hanat::probes
