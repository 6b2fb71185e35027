// The loop's side.
#include "daemon/doctor/tracer.hpp"

#include <utility>

#include "daemon/doctor/trace_thread.hpp"

namespace hanat {

Tracer::Tracer(uv_loop_t* loop, std::string table) : table_(std::move(table)) {
  auto handle = std::make_unique<uv_async_t>();
  check_uv(uv_async_init(loop, handle.get(), [](uv_async_t* async) { static_cast<Tracer*>(async->data)->on_news(); }), "make a tracer");
  handle->data = this;
  news_.reset(handle.release());
  uv_unref(reinterpret_cast<uv_handle_t*>(news_.get())); // without a trace it keeps no loop alive
}

Tracer::~Tracer() { thread_.reset(); }

std::optional<Tracer::Id> Tracer::start(const TraceRequest& request, OnDone on_done, OnReady on_ready) {
  if (pending_.size() >= at_most) return std::nullopt;
  if (!thread_) thread_ = std::make_unique<TraceThread>(table_, [async = news_.get()] { uv_async_send(async); });
  const Id id = ++last_id_;
  pending_[id] = {.on_done = std::move(on_done), .on_ready = std::move(on_ready)};
  uv_ref(reinterpret_cast<uv_handle_t*>(news_.get()));
  thread_->start(id, request);
  return id;
}

void Tracer::cancel(Id id) {
  if (pending_.erase(id) == 0) return;
  if (pending_.empty()) uv_unref(reinterpret_cast<uv_handle_t*>(news_.get()));
  thread_->cancel(id);
}

void Tracer::on_news() {
  for (TraceThread::News& news : thread_->take_news()) {
    const auto known = pending_.find(news.id);
    if (known == pending_.end()) continue; // cancelled
    if (!news.result) {
      if (const OnReady ready = known->second.on_ready) ready(); // a copy: it may cancel
      continue;
    }
    const OnDone on_done = std::move(known->second.on_done);
    pending_.erase(known);
    if (pending_.empty()) uv_unref(reinterpret_cast<uv_handle_t*>(news_.get()));
    on_done(std::move(*news.result));
  }
}

} // namespace hanat
