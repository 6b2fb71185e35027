// A mutex, a condition and uv_async.
#include "daemon/util/worker_thread.hpp"

#include <utility>

namespace hanat {

WorkerThread::WorkerThread(uv_loop_t* loop, std::function<void()> on_late) : on_late_(std::move(on_late)) {
  auto handle = std::make_unique<uv_async_t>();
  check_uv(uv_async_init(loop, handle.get(), [](uv_async_t* async) { static_cast<WorkerThread*>(async->data)->on_ended(); }),
           "make a thread");
  handle->data = this;
  ended_.reset(handle.release());
  uv_unref(reinterpret_cast<uv_handle_t*>(ended_.get())); // a thread without a job keeps no loop alive
  thread_ = std::thread{[this] { work(); }};
}

WorkerThread::~WorkerThread() {
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

bool WorkerThread::run(Job job, Clock::duration wait) {
  std::unique_lock lock{mutex_};
  job_ = std::move(job);
  changed_.notify_all();
  if (changed_.wait_for(lock, wait, [this] { return !job_; })) return true;
  notify_ = late_ = true;
  uv_ref(reinterpret_cast<uv_handle_t*>(ended_.get()));
  return false;
}

bool WorkerThread::join(Clock::duration wait) {
  if (!late_) return false;
  std::unique_lock lock{mutex_};
  if (!changed_.wait_for(lock, wait, [this] { return !job_; })) return false;
  notify_ = late_ = false;
  uv_unref(reinterpret_cast<uv_handle_t*>(ended_.get()));
  return true;
}

void WorkerThread::work() {
  std::unique_lock lock{mutex_};
  while (true) {
    changed_.wait(lock, [this] { return job_ || stopping_; });
    if (!job_) return;
    lock.unlock();
    job_(); // while it is set, only this thread uses it
    lock.lock();
    job_ = {};
    changed_.notify_all();
    if (notify_) uv_async_send(ended_.get());
  }
}

void WorkerThread::on_ended() {
  if (join()) on_late_(); // false: join() was called between the end of the job and this callback
}

} // namespace hanat
