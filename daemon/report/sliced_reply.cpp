// Requests wait until the text for all of them is complete.
#include "daemon/report/sliced_reply.hpp"

#include <algorithm>
#include <utility>

namespace hanat {
namespace {

constexpr std::size_t services_per_turn = 16; // about half a millisecond
constexpr int rest_of_the_loop = 10;          // a reply is kept so many times as long as it took: viewers get a tenth of the loop at most

} // namespace

SlicedReply::SlicedReply(uv_loop_t* loop, const StatusSource& source, Begin begin, Clock::duration keep)
    : source_(source), begin_(std::move(begin)), keep_(keep) {
  auto handle = std::make_unique<uv_idle_t>();
  check_uv(uv_idle_init(loop, handle.get()), "start an idle handle");
  handle->data = this;
  turn_.reset(handle.release());
}

SlicedReply::~SlicedReply() = default;

void SlicedReply::respond(const std::shared_ptr<HttpExchange>& exchange) {
  if (kept_ && Clock::now() < kept_until_) return exchange->reply(*kept_);
  waiting_.push_back(exchange);
  if (!text_) begin();
}

void SlicedReply::begin() {
  const Time began = Clock::now();
  kept_.reset();
  text_ = begin_();
  names_ = source_.names();
  next_ = 0;
  busy_ = Clock::now() - began;
  uv_idle_start(turn_.get(), [](uv_idle_t* turn) { static_cast<SlicedReply*>(turn->data)->add_some(); });
}

/// Called once per turn of the loop.
void SlicedReply::add_some() {
  if (!text_) return;
  const Time began = Clock::now();
  for (std::size_t count = 0; count < services_per_turn && next_ < names_.size(); ++count)
    if (const auto service = source_.service(names_[next_++])) text_->add(*service);
  busy_ += Clock::now() - began;
  if (next_ == names_.size()) finish();
}

void SlicedReply::finish() {
  uv_idle_stop(turn_.get());
  HttpReply reply = std::exchange(text_, nullptr)->take();
  names_ = {};
  if (keep_ > Clock::duration{}) {
    kept_ = reply;
    kept_until_ = Clock::now() + std::max(keep_, rest_of_the_loop * busy_);
  }
  auto waiting = std::exchange(waiting_, {});
  const std::shared_ptr<HttpExchange> last = std::move(waiting.back());
  waiting.pop_back();
  for (const auto& exchange : waiting) exchange->reply(reply);
  last->reply(std::move(reply)); // without a copy of its body: mostly there is only one
}

} // namespace hanat
