// The window of one question. Everything follows from the answers' times; nothing reads a clock.
#include "daemon/health.hpp"

#include <algorithm>

namespace hanat {
namespace {

constexpr std::chrono::seconds signal_pause{1};

} // namespace

std::string_view to_text(Health health) {
  switch (health) {
  case Health::unknown: return "unknown";
  case Health::up: return "up";
  case Health::down: return "down";
  }
  return "?";
}

void Window::record(probes::Outcome outcome, Time now) {
  switch (outcome) {
  case probes::Outcome::blind: return;
  case probes::Outcome::normal: record_normal(now); return;
  case probes::Outcome::abnormal: record_abnormal(now); return;
  }
}

void Window::record_normal(Time now) {
  if (passes_++ == 0) run_began_ = now;
  if (burst_ && ++passes_in_burst_ >= down_.fails) burst_ = false;
}

void Window::record_abnormal(Time now) {
  passes_ = 0;
  passes_in_burst_ = 0;
  abnormal_.push_back(now);
  if (abnormal_.size() > down_.fails) abnormal_.erase(abnormal_.begin());
  burst_ = health_ != Health::down;
  if (fails(now) < down_.fails) return;
  health_ = Health::down;
  burst_ = false;
}

bool Window::signal(Time now) {
  if (urgent() || health_ == Health::down || (signalled_ && now - *signalled_ < signal_pause)) return false;
  signalled_ = now;
  burst_ = true;
  passes_in_burst_ = 0;
  return true;
}

void Window::assess(const Situation& situation, Time now) {
  if (health_ == Health::up || passes_ == 0) return;
  // A server that nobody waits for, and that takes nobody's traffic away by being up, is up with its first right answer.
  const bool first_is_enough = health_ == Health::unknown && !(situation.target_works && situation.preferred);
  const bool stable = passes_ >= up_.passes && (!situation.target_works || now - run_began_ >= up_.stable_for);
  if (!first_is_enough && !stable) return;
  health_ = Health::up;
  abnormal_.clear(); // what made it down is paid for
}

std::optional<Time> Window::stable_at() const {
  if (health_ == Health::up || passes_ < up_.passes) return std::nullopt;
  return run_began_ + up_.stable_for;
}

unsigned Window::fails(Time now) const {
  return static_cast<unsigned>(std::ranges::count_if(abnormal_, [&](Time at) { return now - at < down_.within; }));
}

bool Window::urgent() const { return health_ == Health::unknown || burst_; }

void Window::set_rules(const DownRule& down, const UpRule& up) {
  down_ = down;
  up_ = up;
  if (abnormal_.size() > down_.fails) abnormal_.erase(abnormal_.begin(), abnormal_.end() - down_.fails);
}

Health combine(std::span<const Health> questions) {
  if (std::ranges::find(questions, Health::down) != questions.end()) return Health::down;
  const bool all_up = !questions.empty() && std::ranges::all_of(questions, [](Health health) { return health == Health::up; });
  return all_up ? Health::up : Health::unknown;
}

} // namespace hanat
