// Everything follows from the times of the results; nothing reads a clock.
#include "daemon/decision/failure_window.hpp"

#include <algorithm>
#include <utility>

namespace hanat {
namespace {

constexpr std::chrono::seconds trigger_pause{1};

unsigned count(std::span<const Time> times, Clock::duration within, Time now) {
  return static_cast<unsigned>(std::ranges::count_if(times, [&](Time at) { return now - at < within; }));
}

void extend(ResultRun& run, Time now) {
  if (run.length++ == 0) run.began = now;
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

void FailureWindow::record(probes::Outcome outcome, Time now) {
  switch (outcome) {
  case probes::Outcome::inconclusive: return;
  case probes::Outcome::pass: record_pass(now); return;
  case probes::Outcome::full: record_full(now); return;
  case probes::Outcome::fail: record_fail(now); return;
  }
}

void FailureWindow::record_pass(Time now) {
  extend(counts_.passes, now);
  extend(counts_.alive, now);
  confirmed_ = true;
  calm_burst();
}

void FailureWindow::record_full(Time now) {
  counts_.passes = {};
  extend(counts_.alive, now);
  add(counts_.fails_or_full, now);
  if (counts_.health == Health::down) return;
  if (counts_.health == Health::full) return calm_burst(); // nothing new
  passes_in_burst_ = 0;
  burst_ = fails_or_full(now) < down_.fails;
  if (!burst_) counts_.health = Health::full;
}

void FailureWindow::record_fail(Time now) {
  counts_.passes = {};
  counts_.alive = {};
  passes_in_burst_ = 0;
  add(counts_.fails, now);
  add(counts_.fails_or_full, now);
  burst_ = counts_.health != Health::down;
  if (fails(now) >= down_.fails) {
    counts_.health = Health::down;
    burst_ = false;
  } else if (counts_.health != Health::down && fails_or_full(now) >= down_.fails) {
    counts_.health = Health::full; // and the burst goes on: is it down?
  }
}

void FailureWindow::calm_burst() {
  if (burst_ && ++passes_in_burst_ >= down_.fails) burst_ = false;
}

bool FailureWindow::start_burst(Time now) {
  if (in_burst() || counts_.health == Health::down || (triggered_ && now - *triggered_ < trigger_pause)) return false;
  triggered_ = now;
  burst_ = true;
  passes_in_burst_ = 0;
  return true;
}

void FailureWindow::evaluate(const Context& context, Time now) {
  if (counts_.health == Health::up) return;
  // A server that nobody waits for, and that takes nobody's traffic away by being up, is up with its first pass.
  const bool first_is_enough = counts_.passes.length > 0 &&
                               (context.takes_over || (counts_.health == Health::unknown && !(context.target_works && context.preferred)));
  // Nobody waits for a full one either: where no other server is up it has the traffic already.
  const bool hurry = (!context.target_works && counts_.health != Health::full) || (context.renamed && counts_.health == Health::unknown);
  const auto is_stable = [&](const ResultRun& run) { return run.length >= up_.passes && (hurry || now - run.began >= up_.stable_for); };
  if (first_is_enough || is_stable(counts_.passes)) {
    counts_.health = Health::up;
    const bool stable = now - counts_.passes.began >= up_.stable_for;
    up_by_ = is_stable(counts_.passes) ? UpRule{.passes = up_.passes, .stable_for = stable ? up_.stable_for : Clock::duration{}}
                                       : UpRule{.passes = 1, .stable_for = {}};
  } else if (counts_.health == Health::down && is_stable(counts_.alive)) {
    counts_.health = Health::full;
  } else {
    return;
  }
  counts_.fails.clear(); // what made it down, or full, counts no more
  counts_.fails_or_full.clear();
}

std::optional<Time> FailureWindow::stable_at() const {
  const ResultRun& run = counts_.health == Health::down ? counts_.alive : counts_.passes;
  if (counts_.health == Health::up || run.length < up_.passes) return std::nullopt;
  return run.began + up_.stable_for;
}

std::optional<Time> FailureWindow::up_at() const {
  if (counts_.health == Health::up || counts_.passes.length < up_.passes) return std::nullopt;
  return counts_.passes.began + up_.stable_for;
}

std::optional<Recovery> FailureWindow::recovery(Time now) const {
  if (counts_.health == Health::up || counts_.health == Health::unknown || counts_.passes.length == 0) return std::nullopt;
  return Recovery{.passes = counts_.passes.length, .of = up_.passes, .lasts = now - counts_.passes.began, .stable_for = up_.stable_for};
}

/// No more than M are ever needed.
void FailureWindow::add(std::vector<Time>& times, Time now) const {
  times.push_back(now);
  if (times.size() > down_.fails) times.erase(times.begin());
}

unsigned FailureWindow::fails(Time now) const { return count(counts_.fails, down_.within, now); }
unsigned FailureWindow::fails_or_full(Time now) const { return count(counts_.fails_or_full, down_.within, now); }

bool FailureWindow::in_burst() const { return counts_.health == Health::unknown || burst_; }

void FailureWindow::set_rules(const DownRule& down, const UpRule& up) {
  down_ = down;
  up_ = up;
  for (std::vector<Time>* times : {&counts_.fails, &counts_.fails_or_full})
    if (times->size() > down_.fails) times->erase(times->begin(), times->end() - down_.fails);
}

void FailureWindow::restore(WindowCounts counts) {
  counts_ = std::move(counts);
  set_rules(down_, up_);
  confirmed_ = false;
  burst_ = counts_.health == Health::up || counts_.health == Health::full;
  passes_in_burst_ = 0;
}

Health combine(std::span<const Health> probes) {
  for (const Health worst : {Health::down, Health::unknown, Health::full})
    if (std::ranges::find(probes, worst) != probes.end()) return worst;
  return probes.empty() ? Health::unknown : Health::up;
}

} // namespace hanat
