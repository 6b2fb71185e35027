// A mutex, a condition and uv_async.
#include "daemon/util/worker_thread.hpp"

#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

namespace hanat {

struct WorkerThread::Shared {
  std::mutex mutex;
  std::condition_variable changed;
  Job job; // empty: none
  bool notify = false, stopping = false;
  uv_async_t* ended = nullptr;
  std::thread thread;
};

WorkerThread::WorkerThread(uv_loop_t* loop, std::function<void()> on_late, AtEnd at_end)
    : on_late_(std::move(on_late)), at_end_(at_end), shared_(std::make_shared<Shared>()) {
  auto handle = std::make_unique<uv_async_t>();
  check_uv(uv_async_init(loop, handle.get(), [](uv_async_t* async) { static_cast<WorkerThread*>(async->data)->on_ended(); }),
           "make a thread");
  handle->data = this;
  ended_.reset(handle.release());
  uv_unref(reinterpret_cast<uv_handle_t*>(ended_.get())); // a thread without a job keeps no loop alive
  shared_->ended = ended_.get();
  shared_->thread = std::thread{[shared = shared_] { work(*shared); }};
}

WorkerThread::~WorkerThread() {
  std::unique_lock lock{shared_->mutex};
  shared_->stopping = true;
  shared_->changed.notify_all();
  const bool leaves = at_end_ == AtEnd::leave && shared_->job;
  lock.unlock();
  if (leaves)
    shared_->thread.detach();
  else
    shared_->thread.join();
}

bool WorkerThread::run(Job job, Clock::duration wait) {
  std::unique_lock lock{shared_->mutex};
  shared_->job = std::move(job);
  shared_->changed.notify_all();
  if (shared_->changed.wait_for(lock, wait, [this] { return !shared_->job; })) return true;
  shared_->notify = late_ = true;
  uv_ref(reinterpret_cast<uv_handle_t*>(ended_.get()));
  return false;
}

bool WorkerThread::join(Clock::duration wait) {
  if (!late_) return false;
  std::unique_lock lock{shared_->mutex};
  if (!shared_->changed.wait_for(lock, wait, [this] { return !shared_->job; })) return false;
  shared_->notify = late_ = false;
  uv_unref(reinterpret_cast<uv_handle_t*>(ended_.get()));
  return true;
}

void WorkerThread::work(Shared& shared) {
  std::unique_lock lock{shared.mutex};
  while (true) {
    shared.changed.wait(lock, [&shared] { return shared.job || shared.stopping; });
    if (!shared.job) return;
    lock.unlock();
    shared.job(); // while it is set, only this thread uses it
    lock.lock();
    shared.job = {};
    shared.changed.notify_all();
    if (shared.stopping) return; // the handle may be closed
    if (shared.notify) uv_async_send(shared.ended);
  }
}

void WorkerThread::on_ended() {
  if (join()) on_late_(); // false: join() was called between the end of the job and this callback
}

} // namespace hanat
