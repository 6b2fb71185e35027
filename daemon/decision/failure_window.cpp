// Everything follows from the times of the results; nothing reads a clock.
#include "daemon/decision/failure_window.hpp"

#include <algorithm>

namespace hanat {
namespace {

constexpr std::chrono::seconds trigger_pause{1};

unsigned count(std::span<const Time> times, Clock::duration within, Time now) {
  return static_cast<unsigned>(std::ranges::count_if(times, [&](Time at) { return now - at < within; }));
}

} // namespace

std::string_view to_text(Health health) {
  switch (health) {
  case Health::unknown: return "unknown";
  case Health::up: return "up";
  case Health::full: return "full";
  case Health::down: return "down";
  }
  return "?";
}

void FailureWindow::Run::extend(Time now) {
  if (length++ == 0) began = now;
}

void FailureWindow::record(probes::Outcome outcome, Time now) {
  switch (outcome) {
  case probes::Outcome::inconclusive: return;
  case probes::Outcome::pass: record_pass(now); return;
  case probes::Outcome::full: record_full(now); return;
  case probes::Outcome::fail: record_fail(now); return;
  }
}

void FailureWindow::record_pass(Time now) {
  passes_.extend(now);
  alive_.extend(now);
  calm_burst();
}

void FailureWindow::record_full(Time now) {
  passes_ = {};
  alive_.extend(now);
  add(fails_or_full_, now);
  if (health_ == Health::down) return;
  if (health_ == Health::full) return calm_burst(); // nothing new
  passes_in_burst_ = 0;
  burst_ = fails_or_full(now) < down_.fails;
  if (!burst_) health_ = Health::full;
}

void FailureWindow::record_fail(Time now) {
  passes_ = {};
  alive_ = {};
  passes_in_burst_ = 0;
  add(fails_, now);
  add(fails_or_full_, now);
  burst_ = health_ != Health::down;
  if (fails(now) >= down_.fails) {
    health_ = Health::down;
    burst_ = false;
  } else if (health_ != Health::down && fails_or_full(now) >= down_.fails) {
    health_ = Health::full; // and the burst goes on: is it down?
  }
}

void FailureWindow::calm_burst() {
  if (burst_ && ++passes_in_burst_ >= down_.fails) burst_ = false;
}

bool FailureWindow::start_burst(Time now) {
  if (in_burst() || health_ == Health::down || (triggered_ && now - *triggered_ < trigger_pause)) return false;
  triggered_ = now;
  burst_ = true;
  passes_in_burst_ = 0;
  return true;
}

void FailureWindow::evaluate(const Context& context, Time now) {
  if (health_ == Health::up) return;
  // A server that nobody waits for, and that takes nobody's traffic away by being up, is up with its first pass.
  const bool first_is_enough =
      passes_.length > 0 && (context.takes_over || (health_ == Health::unknown && !(context.target_works && context.preferred)));
  // Nobody waits for a full one either: where no other server is up it has the traffic already.
  const bool hurry = !context.target_works && health_ != Health::full;
  const auto is_stable = [&](const Run& run) { return run.length >= up_.passes && (hurry || now - run.began >= up_.stable_for); };
  if (first_is_enough || is_stable(passes_)) {
    health_ = Health::up;
    const bool stable = now - passes_.began >= up_.stable_for;
    up_by_ = is_stable(passes_) ? UpRule{.passes = up_.passes, .stable_for = stable ? up_.stable_for : Clock::duration{}}
                                : UpRule{.passes = 1, .stable_for = {}};
  } else if (health_ == Health::down && is_stable(alive_)) {
    health_ = Health::full;
  } else {
    return;
  }
  fails_.clear(); // what made it down, or full, counts no more
  fails_or_full_.clear();
}

std::optional<Time> FailureWindow::stable_at() const {
  const Run& run = health_ == Health::down ? alive_ : passes_;
  if (health_ == Health::up || run.length < up_.passes) return std::nullopt;
  return run.began + up_.stable_for;
}

std::optional<Time> FailureWindow::up_at() const {
  if (health_ == Health::up || passes_.length < up_.passes) return std::nullopt;
  return passes_.began + up_.stable_for;
}

std::optional<Recovery> FailureWindow::recovery(Time now) const {
  if (health_ == Health::up || health_ == Health::unknown || passes_.length == 0) return std::nullopt;
  return Recovery{.passes = passes_.length, .of = up_.passes, .lasts = now - passes_.began, .stable_for = up_.stable_for};
}

/// No more than M are ever needed.
void FailureWindow::add(std::vector<Time>& times, Time now) const {
  times.push_back(now);
  if (times.size() > down_.fails) times.erase(times.begin());
}

unsigned FailureWindow::fails(Time now) const { return count(fails_, down_.within, now); }
unsigned FailureWindow::fails_or_full(Time now) const { return count(fails_or_full_, down_.within, now); }

bool FailureWindow::in_burst() const { return health_ == Health::unknown || burst_; }

void FailureWindow::set_rules(const DownRule& down, const UpRule& up) {
  down_ = down;
  up_ = up;
  for (std::vector<Time>* times : {&fails_, &fails_or_full_})
    if (times->size() > down_.fails) times->erase(times->begin(), times->end() - down_.fails);
}

Health combine(std::span<const Health> probes) {
  for (const Health worst : {Health::down, Health::unknown, Health::full})
    if (std::ranges::find(probes, worst) != probes.end()) return worst;
  return probes.empty() ? Health::unknown : Health::up;
}

} // namespace hanat
