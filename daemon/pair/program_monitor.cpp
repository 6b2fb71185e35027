// A timer, a reading, a verdict.
#include "daemon/pair/program_monitor.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace hanat {
namespace {

constexpr std::uint64_t first_after_ms = 5'000; // the programs may start after hanatd when the machine boots
constexpr std::uint64_t period_ms = 1'000;

struct Reading {
  std::optional<std::vector<ConntrackListener>> listeners;
  std::optional<bool> vrrp;
};

} // namespace

ProgramMonitor::ProgramMonitor(uv_loop_t* loop, Owner owner)
    : owner_(std::move(owner)), timer_(make_timer(loop, this)), jobs_(loop, WorkerThread::AtEnd::leave) {}

void ProgramMonitor::enable(bool on) {
  if (std::exchange(enabled_, on) == on) return;
  flow_sync_ = {};
  vrrp_ = {};
  programs_ = {};
  if (!on) {
    uv_timer_stop(timer_.get());
    return;
  }
  const auto due = [](uv_timer_t* timer) { static_cast<ProgramMonitor*>(timer->data)->read(); };
  uv_timer_start(timer_.get(), due, first_after_ms, period_ms);
}

void ProgramMonitor::read() {
  const auto reading = std::make_shared<Reading>();
  jobs_.run([reading] { *reading = {.listeners = read_conntrack_listeners(), .vrrp = read_vrrp()}; },
            [this, reading] {
              if (!enabled_) return;
              take({.conntrackd = flow_sync_.take(reading->listeners), .keepalived = vrrp_.take(reading->vrrp, owner_.other_speaks())});
            });
}

void ProgramMonitor::take(const PairPrograms& programs) {
  if (std::exchange(programs_, programs) != programs) owner_.changed(programs);
}

} // namespace hanat
