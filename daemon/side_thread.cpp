// A mutex, a condition and uv_async.
#include "daemon/side_thread.hpp"

#include <utility>

namespace hanat {

SideThread::SideThread(uv_loop_t* loop, std::function<void()> late) : late_(std::move(late)) {
  auto handle = std::make_unique<uv_async_t>();
  check_uv(uv_async_init(loop, handle.get(), [](uv_async_t* async) { static_cast<SideThread*>(async->data)->on_ended(); }),
           "make a thread");
  handle->data = this;
  ended_.reset(handle.release());
  uv_unref(reinterpret_cast<uv_handle_t*>(ended_.get())); // a thread without a job keeps no loop alive
  thread_ = std::thread{[this] { work(); }};
}

SideThread::~SideThread() {
  {
    const std::lock_guard lock{mutex_};
    over_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

bool SideThread::run(Job job, probes::Clock::duration patience) {
  std::unique_lock lock{mutex_};
  job_ = std::move(job);
  changed_.notify_all();
  if (changed_.wait_for(lock, patience, [this] { return !job_; })) return true;
  tell_ = waited_for_ = true;
  uv_ref(reinterpret_cast<uv_handle_t*>(ended_.get()));
  return false;
}

bool SideThread::join(probes::Clock::duration patience) {
  if (!waited_for_) return false;
  std::unique_lock lock{mutex_};
  if (!changed_.wait_for(lock, patience, [this] { return !job_; })) return false;
  tell_ = waited_for_ = false;
  uv_unref(reinterpret_cast<uv_handle_t*>(ended_.get()));
  return true;
}

void SideThread::work() {
  std::unique_lock lock{mutex_};
  while (true) {
    changed_.wait(lock, [this] { return job_ || over_; });
    if (!job_) return;
    lock.unlock();
    job_(); // nobody else touches it while it is there
    lock.lock();
    job_ = {};
    changed_.notify_all();
    if (tell_) uv_async_send(ended_.get());
  }
}

void SideThread::on_ended() {
  if (join()) late_(); // join() may have taken the end before the loop heard of it
}

} // namespace hanat
