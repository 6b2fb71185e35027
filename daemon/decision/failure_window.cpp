// Everything follows from the times of the results; nothing reads a clock.
#include "daemon/decision/failure_window.hpp"

#include <algorithm>

namespace hanat {
namespace {

constexpr std::chrono::seconds trigger_pause{1};

} // namespace

std::string_view to_text(Health health) {
  switch (health) {
  case Health::unknown: return "unknown";
  case Health::up: return "up";
  case Health::down: return "down";
  }
  return "?";
}

void FailureWindow::record(probes::Outcome outcome, Time now) {
  switch (outcome) {
  case probes::Outcome::inconclusive: return;
  case probes::Outcome::pass: record_pass(now); return;
  case probes::Outcome::fail: record_fail(now); return;
  }
}

void FailureWindow::record_pass(Time now) {
  if (passes_++ == 0) run_began_ = now;
  if (burst_ && ++passes_in_burst_ >= down_.fails) burst_ = false;
}

void FailureWindow::record_fail(Time now) {
  passes_ = 0;
  passes_in_burst_ = 0;
  fails_.push_back(now);
  if (fails_.size() > down_.fails) fails_.erase(fails_.begin());
  burst_ = health_ != Health::down;
  if (fails(now) < down_.fails) return;
  health_ = Health::down;
  burst_ = false;
}

bool FailureWindow::start_burst(Time now) {
  if (in_burst() || health_ == Health::down || (triggered_ && now - *triggered_ < trigger_pause)) return false;
  triggered_ = now;
  burst_ = true;
  passes_in_burst_ = 0;
  return true;
}

void FailureWindow::evaluate(const Context& context, Time now) {
  if (health_ == Health::up || passes_ == 0) return;
  // A server that nobody waits for, and that takes nobody's traffic away by being up, is up with its first pass.
  const bool first_is_enough = health_ == Health::unknown && !(context.target_works && context.preferred);
  const bool stable = passes_ >= up_.passes && (!context.target_works || now - run_began_ >= up_.stable_for);
  if (!first_is_enough && !stable) return;
  health_ = Health::up;
  fails_.clear(); // what made it down counts no more
}

std::optional<Time> FailureWindow::stable_at() const {
  if (health_ == Health::up || passes_ < up_.passes) return std::nullopt;
  return run_began_ + up_.stable_for;
}

unsigned FailureWindow::fails(Time now) const {
  return static_cast<unsigned>(std::ranges::count_if(fails_, [&](Time at) { return now - at < down_.within; }));
}

bool FailureWindow::in_burst() const { return health_ == Health::unknown || burst_; }

void FailureWindow::set_rules(const DownRule& down, const UpRule& up) {
  down_ = down;
  up_ = up;
  if (fails_.size() > down_.fails) fails_.erase(fails_.begin(), fails_.end() - down_.fails);
}

Health combine(std::span<const Health> probes) {
  if (std::ranges::find(probes, Health::down) != probes.end()) return Health::down;
  const bool all_up = !probes.empty() && std::ranges::all_of(probes, [](Health health) { return health == Health::up; });
  return all_up ? Health::up : Health::unknown;
}

} // namespace hanat
