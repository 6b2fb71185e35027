// The order of an examination: first pass on the worker; traces on the loop around the second pass; the diagnosis.
#include "daemon/doctor/doctor.hpp"

#include <optional>
#include <utility>

#include "daemon/doctor/examination.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t most_waiting = 16;
constexpr auto own_trace_limit = 1'500ms;    // the second pass sends at once, and once more
constexpr auto client_trace_limit = 3'000ms; // a client repeats its SYN after 1, 2 and 4 seconds

} // namespace

struct Doctor::Work {
  explicit Work(Waiting from) : examination(std::move(from.services)), on_done(std::move(from.on_done)) {}
  Examination examination;
  OnDone on_done;
  unsigned passes = 0;
  std::size_t traces = 0;  // that have not ended
  std::size_t unready = 0; // of the suspects' ones: not traced yet
  bool sent = false;       // no pass is left
  std::optional<Diagnosis> diagnosis;
};

Doctor::Doctor(uv_loop_t* loop, Options options) : loop_(loop), options_(std::move(options)), worker_(loop, [this] { on_job_ended(); }) {
  auto handle = std::make_unique<uv_async_t>();
  check_uv(uv_async_init(loop_, handle.get(), [](uv_async_t* async) { static_cast<Doctor*>(async->data)->begin(); }), "make a doctor");
  handle->data = this;
  next_.reset(handle.release());
  uv_unref(reinterpret_cast<uv_handle_t*>(next_.get()));
}

Doctor::~Doctor() {
  cancelled_ = true;
  if (options_.tracing != nullptr && work_) options_.tracing->stop();
}

bool Doctor::examine(std::vector<ServiceCheck> services, OnDone on_done) {
  if (waiting_.size() >= most_waiting) return false;
  waiting_.push_back({std::move(services), std::move(on_done)});
  uv_async_send(next_.get());
  return true;
}

void Doctor::begin() {
  if (work_ || waiting_.empty()) return;
  work_ = std::make_unique<Work>(std::move(waiting_.front()));
  waiting_.pop_front();
  for (const ServiceCheck& service : work_->examination.services())
    if (service.unanswered) trace_client(service);
  run([this](Work& work) { work.examination.first_pass(options_.table, options_.check_rules, cancelled_); });
}

void Doctor::run(std::function<void(Work&)> job) {
  if (worker_.run([job = std::move(job), work = work_.get()] { job(*work); }, Clock::duration::zero())) on_job_ended();
}

void Doctor::on_job_ended() {
  if (!work_) return;
  if (work_->diagnosis) return end();
  if (++work_->passes == 1 && work_->examination.has_suspects()) {
    trace_suspects();
    return;
  }
  work_->sent = true;
  finish_if_done();
}

void Doctor::trace_suspects() {
  Examination& examination = work_->examination;
  const auto on_ready = [this] {
    if (--work_->unready == 0) run([this](Work& work) { work.examination.second_pass(cancelled_); });
  };
  ++work_->unready; // until all are started: a trace may be ready at once
  for (ExaminedFlow& flow : examination.flows()) {
    if (!flow.suspect || options_.tracing == nullptr) continue;
    ++work_->traces;
    ++work_->unready;
    const TraceTarget target{.service = examination.services()[flow.service].name,
                             .client = flow.result.client.address,
                             .client_port = std::nullopt,
                             .vip = examination.endpoint(flow).vip,
                             .server = examination.endpoint(flow).server,
                             .seen_by = examination.seen_by(),
                             .own_client = true};
    options_.tracing->start(target, own_trace_limit, on_ready, [this, &flow](const Traced& traced) {
      flow.culprit_known = !traced.found.empty();
      flow.traced = !traced.refused;
      work_->examination.add_traced(traced, true);
      --work_->traces;
      finish_if_done();
    });
  }
  on_ready();
}

void Doctor::trace_client(const ServiceCheck& service) {
  if (options_.tracing == nullptr || !service.unanswered) return;
  const UnansweredClient& unanswered = *service.unanswered;
  const std::string service_name = service.name;
  ++work_->traces;
  options_.tracing->start(
      {.service = service.name,
       .client = unanswered.client.address,
       .client_port = std::nullopt,
       .vip = unanswered.vip,
       .server = service.endpoints.empty() ? std::nullopt : service.endpoints.front().server,
       .seen_by = "client " + unanswered.client.address.text()},
      client_trace_limit, [] {},
      [this, service_name](const Traced& traced) {
        work_->examination.add_traced(traced, false);
        if (traced.seen) work_->examination.saw_client(service_name, traced.lost);
        --work_->traces;
        finish_if_done();
      });
}

/// Of many services the diagnosis takes a while: the worker makes it.
void Doctor::finish_if_done() {
  if (!work_ || !work_->sent || work_->traces > 0) return;
  run([](Work& work) {
    work.examination.assume_for_untraced();
    work.diagnosis = work.examination.diagnosis();
  });
}

void Doctor::end() {
  const std::unique_ptr<Work> done = std::move(work_);
  if (!waiting_.empty()) uv_async_send(next_.get());
  if (std::optional<Diagnosis> diagnosis = std::move(done->diagnosis)) done->on_done(*std::move(diagnosis));
}

} // namespace hanat
