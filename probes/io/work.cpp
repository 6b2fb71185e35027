// uv_queue_work().
#include "probes/io/work.hpp"

#include <stdexcept>
#include <utility>

namespace hanat::probes {

struct Work::Request {
  uv_work_t request{};
  std::function<void()> work, done;
  bool ended = false;
};

Work::~Work() {
  if (request_->ended) return;
  request_->done = nullptr;
  uv_cancel(reinterpret_cast<uv_req_t*>(&request_->request)); // if it has not begun
}

std::unique_ptr<Work> start_work(uv_loop_t* loop, std::function<void()> work, std::function<void()> done) {
  auto request = std::make_unique<Work::Request>();
  request->work = std::move(work);
  request->done = std::move(done);
  request->request.data = request.get();
  const int error = uv_queue_work(
      loop, &request->request, [](uv_work_t* running) { static_cast<Work::Request*>(running->data)->work(); },
      [](uv_work_t* ended, int /*status*/) {
        const std::unique_ptr<Work::Request> own{static_cast<Work::Request*>(ended->data)};
        own->ended = true;
        if (const auto then = std::move(own->done)) then();
      });
  if (error < 0) throw std::runtime_error(uv_strerror(error));
  return std::unique_ptr<Work>{new Work{request.release()}};
}

} // namespace hanat::probes
