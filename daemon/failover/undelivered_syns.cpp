// A batch of look-ups at a time.
#include "daemon/failover/undelivered_syns.hpp"

#include <chrono>
#include <exception>

#include <sys/resource.h>
#include <unistd.h>

namespace hanat {
namespace {

constexpr std::chrono::milliseconds delivered_within{100}; // a SYN needs some 10 us to leave the gateway
constexpr int thread_niceness = 10;

} // namespace

UndeliveredSyns::UndeliveredSyns(uv_loop_t* loop, LookUp look_up, probes::OnKernelEvent on_event)
    : look_up_(std::move(look_up)), on_event_(std::move(on_event)), timer_(make_timer(loop, this)), thread_(loop, [this] { found(); }) {}

UndeliveredSyns::~UndeliveredSyns() { thread_.join(); }

void UndeliveredSyns::on_event(const probes::KernelEvent& event) {
  if (event.kind != probes::KernelEventKind::undelivered || !event.client || !event.vip) return on_event_(event);
  if (waiting_.size() >= waiting_at_most) return;
  waiting_.push_back(event);
  if (waiting_.size() == 1) look_up_soon();
}

void UndeliveredSyns::look_up_soon() {
  uv_timer_start(
      timer_.get(), [](uv_timer_t* timer) { static_cast<UndeliveredSyns*>(timer->data)->start(); },
      static_cast<std::uint64_t>(delivered_within.count()), 0);
}

void UndeliveredSyns::start() {
  if (thread_.busy()) return look_up_soon();
  looked_up_ = std::exchange(waiting_, {});
  if (thread_.run([this] { work(); }, Clock::duration::zero())) found();
}

void UndeliveredSyns::work() {
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), thread_niceness); // of this thread
  try {
    std::erase_if(looked_up_, [this](const probes::KernelEvent& event) {
      const Vip& vip = *event.vip;
      const nat::Tuple original{
          .protocol = vip.protocol, .source = *event.client, .destination = {.address = vip.address, .port = vip.port}};
      return look_up_(original, event.zone) != nat::KnownFlow::none;
    });
  } catch (const std::exception&) { // nothing can be said; the audit of conntrack meets the same failure, and it is told there
    looked_up_.clear();
  }
}

void UndeliveredSyns::found() {
  for (const probes::KernelEvent& event : std::exchange(looked_up_, {})) on_event_(event);
}

} // namespace hanat
