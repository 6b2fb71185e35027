// A queue before a WorkerThread.
#include "daemon/util/job_queue.hpp"

#include <utility>

namespace hanat {

JobQueue::JobQueue(uv_loop_t* loop, WorkerThread::AtEnd at_end)
    : thread_(
          loop, [this] { on_done(); }, at_end) {}

void JobQueue::run(std::function<void()> job, std::function<void()> done) {
  waiting_.push_back({.job = std::move(job), .done = std::move(done)});
  start_next();
}

void JobQueue::finish() {
  while (thread_.join()) on_done();
}

void JobQueue::start_next() {
  if (done_ || waiting_.empty()) return;
  Order order = std::move(waiting_.front());
  waiting_.pop_front();
  done_ = std::move(order.done);
  if (thread_.run(std::move(order.job), Clock::duration::zero())) on_done();
}

void JobQueue::on_done() {
  const auto done = std::exchange(done_, {});
  done();
  start_next();
}

} // namespace hanat
