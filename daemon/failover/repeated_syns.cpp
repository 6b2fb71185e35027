// A batch of look-ups at a time.
#include "daemon/failover/repeated_syns.hpp"

#include <algorithm>
#include <chrono>
#include <exception>

#include <sys/resource.h>
#include <unistd.h>

namespace hanat {
namespace {

using probes::KernelEventKind;
using namespace std::chrono_literals;

constexpr auto delivered_within = 100ms;    // a SYN needs some 10 us to leave the gateway
constexpr auto acknowledged_within = 500ms; // the way to the server and to the client, there and back
constexpr int thread_niceness = 10;

/// What conntrack knows of the flow if the event means what it says.
nat::KnownFlow expected(KernelEventKind kind) {
  return kind == KernelEventKind::undelivered ? nat::KnownFlow::none : nat::KnownFlow::accepted;
}

} // namespace

RepeatedSyns::RepeatedSyns(uv_loop_t* loop, LookUp look_up, probes::OnKernelEvent on_event)
    : look_up_(std::move(look_up)), on_event_(std::move(on_event)), timer_(make_timer(loop, this)), thread_(loop, [this] { found(); }) {}

RepeatedSyns::~RepeatedSyns() { thread_.join(); }

void RepeatedSyns::on_event(const probes::KernelEvent& event) {
  const bool is_doubtful = event.kind == KernelEventKind::undelivered || event.kind == KernelEventKind::unacknowledged;
  if (!is_doubtful || !event.client || !event.vip) return on_event_(event);
  if (waiting_.size() >= waiting_at_most) return;
  waiting_.push_back({event, Clock::now() + (event.kind == KernelEventKind::undelivered ? delivered_within : acknowledged_within)});
  look_up_soon();
}

void RepeatedSyns::look_up_soon() {
  if (waiting_.empty()) return;
  const auto due = std::ranges::min_element(waiting_, {}, &Waiting::due)->due;
  const auto wait = std::max(std::chrono::ceil<std::chrono::milliseconds>(due - Clock::now()), 0ms);
  uv_update_time(timer_->loop);
  uv_timer_start(
      timer_.get(), [](uv_timer_t* timer) { static_cast<RepeatedSyns*>(timer->data)->start(); }, static_cast<std::uint64_t>(wait.count()),
      0);
}

void RepeatedSyns::start() {
  if (thread_.busy()) return; // found() goes on
  const auto now = Clock::now();
  const auto later = std::ranges::stable_partition(waiting_, [now](const Waiting& one) { return one.due <= now; });
  for (auto one = waiting_.begin(); one != later.begin(); ++one) looked_up_.push_back(std::move(one->event));
  waiting_.erase(waiting_.begin(), later.begin());
  if (looked_up_.empty()) return look_up_soon();
  if (thread_.run([this] { work(); }, Clock::duration::zero())) found();
}

void RepeatedSyns::work() {
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), thread_niceness); // of this thread
  try {
    std::erase_if(looked_up_, [this](const probes::KernelEvent& event) {
      const Vip& vip = *event.vip;
      const nat::Tuple original{
          .protocol = vip.protocol, .source = *event.client, .destination = {.address = vip.address, .port = vip.port}};
      return look_up_(original, event.zone) != expected(event.kind);
    });
  } catch (const std::exception&) { // nothing can be said; the audit of conntrack meets the same failure, and it is told there
    looked_up_.clear();
  }
}

void RepeatedSyns::found() {
  for (const probes::KernelEvent& event : std::exchange(looked_up_, {})) on_event_(event);
  look_up_soon();
}

} // namespace hanat
