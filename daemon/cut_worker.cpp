// uv_queue_work around nat::Cutter.
#include "daemon/cut_worker.hpp"

#include <system_error>
#include <utility>

#include <sys/resource.h>
#include <unistd.h>

namespace hanat {
namespace {

// The loop, and the packets that this machine forwards, come first: a cut of 100,000 flows is half a second of work.
constexpr int niceness = 5;

/// Of this thread alone, which does nothing else.
void be_modest() { setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), niceness); }

} // namespace

CutWorker::CutWorker(uv_loop_t* loop, nat::Cutter cutter, Done done) : loop_(loop), cutter_(std::move(cutter)), done_(std::move(done)) {
  request_.data = this;
}
CutWorker::~CutWorker() {
  cancelled_ = true;
  done_ = {};
  while (busy_) uv_run(loop_, UV_RUN_ONCE); // the thread works on this object
}

void CutWorker::start(std::vector<Mapping> mappings, nat::Streams streams) {
  mappings_ = std::move(mappings);
  streams_ = streams;
  cancelled_ = false;
  busy_ = true;
  result_ = {};
  uv_queue_work(
      loop_, &request_, [](uv_work_t* request) { static_cast<CutWorker*>(request->data)->work(); },
      [](uv_work_t* request, int) {
        auto* self = static_cast<CutWorker*>(request->data);
        self->busy_ = false;
        if (self->done_) self->done_(std::exchange(self->result_, {}));
      });
}

void CutWorker::work() {
  be_modest();
  const auto began = std::chrono::steady_clock::now();
  try {
    cutter_.cut(mappings_, streams_, cancelled_,
                [this](const Mapping& mapping, std::uint64_t number) { result_.deleted[mapping] += number; });
  } catch (const std::exception& error) {
    result_.failure = error.what();
  }
  result_.cancelled = cancelled_;
  result_.took = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - began);
}

} // namespace hanat
