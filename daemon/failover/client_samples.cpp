// A batch of look-ups at a time.
#include "daemon/failover/client_samples.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace hanat {
namespace {

using namespace std::chrono_literals;
using probes::KernelEventKind;

constexpr auto asked_together = 5ms; // a thread that is woken for one costs more than the look-up

KernelEventKind kind_of(nat::KnownFlow known) {
  switch (known) {
  case nat::KnownFlow::none: break;
  case nat::KnownFlow::unreplied: return KernelEventKind::unaccepted;
  case nat::KnownFlow::accepted:
  case nat::KnownFlow::replied: return KernelEventKind::pending;
  case nat::KnownFlow::served: return KernelEventKind::served;
  }
  return KernelEventKind::opened;
}

} // namespace

ClientSamples::ClientSamples(uv_loop_t* loop, LookUp look_up, probes::OnKernelEvent on_event)
    : look_up_(std::move(look_up)), on_event_(std::move(on_event)), timer_(make_timer(loop, this)), thread_(loop, [this] { tell(); }) {}

ClientSamples::~ClientSamples() { thread_.join(); }

void ClientSamples::on_event(const probes::KernelEvent& event) {
  if (event.kind != KernelEventKind::opened) return on_event_(event);
  if (!event.client || !event.vip || waiting_.size() >= waiting_at_most) return;
  const nat::Tuple original{
      .protocol = event.vip->protocol, .source = *event.client, .destination = {.address = event.vip->address, .port = event.vip->port}};
  waiting_.push_back({.event = event, .original = original, .due = Clock::now() + asked_after});
  if (waiting_.size() == 1) ask_soon();
}

void ClientSamples::ask_soon() {
  if (waiting_.empty() || thread_.busy()) return; // tell() goes on
  const auto wait = std::max(std::chrono::ceil<std::chrono::milliseconds>(waiting_.front().due - Clock::now()), 0ms);
  uv_update_time(timer_->loop);
  uv_timer_start(
      timer_.get(), [](uv_timer_t* timer) { static_cast<ClientSamples*>(timer->data)->start(); }, static_cast<std::uint64_t>(wait.count()),
      0);
}

void ClientSamples::start() {
  if (thread_.busy()) return;
  for (const auto until = Clock::now() + asked_together; !waiting_.empty() && waiting_.front().due <= until; waiting_.pop_front())
    asked_.push_back(std::move(waiting_.front()));
  if (asked_.empty()) return ask_soon();
  if (thread_.run([this] { ask(); }, Clock::duration::zero())) tell();
}

void ClientSamples::ask() {
  try {
    for (Sample& sample : asked_) sample.known = look_up_(sample.original, sample.event.zone);
  } catch (const std::exception&) { // nothing can be said; the audit of conntrack meets the same failure, and it is told there
    asked_.clear();
  }
}

void ClientSamples::tell() {
  for (Sample& sample : std::exchange(asked_, {})) {
    sample.event.kind = kind_of(sample.known);
    if (sample.event.kind != KernelEventKind::opened) on_event_(sample.event);
  }
  ask_soon();
}

} // namespace hanat
