// Slots are lists of timers that are linked by themselves.
#include "probes/io/timer_wheel.hpp"

#include <algorithm>
#include <bit>

namespace hanat::probes {

TimerWheel::~TimerWheel() {
  for (std::size_t slot = 0; slot < slots_.size(); ++slot)
    while (slots_[slot].first != nullptr) unlink(*slots_[slot].first);
}

void TimerWheel::start(Timer& timer, Tick due) {
  if (timer.wheel_ != nullptr) timer.wheel_->unlink(timer);
  timer.due_ = std::min(due, (Tick{1} << (bits * levels)) - 1);
  insert(timer);
  if (changed_) changed_();
}

void TimerWheel::stop(Timer& timer) {
  unlink(timer);
  if (changed_) changed_();
}

void TimerWheel::advance(Tick now) {
  take(overdue);
  call_taken();
  for (auto next = next_slot(); next && next->first <= now; next = next_slot()) {
    now_ = next->first;
    take(next->second);
    call_taken();
  }
  now_ = std::max(now_, now);
}

std::optional<TimerWheel::Tick> TimerWheel::next() const {
  if (slots_[overdue].first != nullptr) return now_;
  const auto next = next_slot();
  return next ? std::optional{next->first} : std::nullopt;
}

/// All that are on one level share the bits of `now_` above it, and are in slots behind that of `now_`: the lowest level comes first.
std::optional<std::pair<TimerWheel::Tick, std::size_t>> TimerWheel::next_slot() const {
  for (unsigned level = 0; level < levels; ++level) {
    if (used_[level] == 0) continue;
    const auto slot = static_cast<std::size_t>(std::countr_zero(used_[level]));
    const Tick above = now_ >> (bits * (level + 1)) << bits;
    return std::pair{(above | slot) << (bits * level), level * slots + slot};
  }
  return std::nullopt;
}

void TimerWheel::insert(Timer& timer) {
  if (timer.due_ <= now_) return append(timer, overdue);
  const auto level = static_cast<unsigned>(std::bit_width(timer.due_ ^ now_) - 1) / bits;
  const std::size_t slot = timer.due_ >> (bits * level) & (slots - 1);
  used_[level] |= std::uint64_t{1} << slot;
  append(timer, level * slots + slot);
}

void TimerWheel::append(Timer& timer, std::size_t slot) {
  Slot& list = slots_[slot];
  timer.wheel_ = this;
  timer.slot_ = static_cast<std::uint16_t>(slot);
  timer.before_ = list.last;
  timer.after_ = nullptr;
  (list.last != nullptr ? list.last->after_ : list.first) = &timer;
  list.last = &timer;
}

void TimerWheel::unlink(Timer& timer) {
  Slot& list = slots_[timer.slot_];
  (timer.before_ != nullptr ? timer.before_->after_ : list.first) = timer.after_;
  (timer.after_ != nullptr ? timer.after_->before_ : list.last) = timer.before_;
  timer.wheel_ = nullptr;
  if (list.first == nullptr && timer.slot_ < overdue) used_[timer.slot_ / slots] &= ~(std::uint64_t{1} << timer.slot_ % slots);
}

/// What is in the slot now: what is appended to it from now on is not.
void TimerWheel::take(std::size_t slot) {
  while (Timer* timer = slots_[slot].first) {
    unlink(*timer);
    append(*timer, taken);
  }
}

/// Calls what is due, and moves the rest to its slots of a lower level.
void TimerWheel::call_taken() {
  while (Timer* timer = slots_[taken].first) {
    unlink(*timer);
    if (timer->due_ <= now_)
      timer->on_due();
    else
      insert(*timer);
  }
}

} // namespace hanat::probes
