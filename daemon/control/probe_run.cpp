// As many at a time as are allowed, run after run.
#include "daemon/control/probe_run.hpp"

#include <utility>
#include <variant>

namespace hanat {

ProbeRun::ProbeRun(uv_loop_t* loop) : prober_(loop), more_(make_timer(loop, this)) {}

ProbeRun::~ProbeRun() { runs_.clear(); }

bool ProbeRun::start(std::vector<probes::Probe> probes, OnResults on_results) {
  if (runs_.size() >= runs_at_most) return false;
  Run& run = runs_.emplace_back();
  run.probes = std::move(probes);
  run.results.resize(run.probes.size());
  run.pending.resize(run.probes.size());
  run.on_results = std::move(on_results);
  for (const probes::Probe& probe : run.probes) prober_.add(probe);
  wake();
  return true;
}

/// On the next turn of the loop: nothing is started or destroyed inside a callback of a probe.
void ProbeRun::wake() {
  uv_timer_start(
      more_.get(),
      [](uv_timer_t* timer) {
        auto* const self = static_cast<ProbeRun*>(timer->data);
        self->fill();
        self->reap();
      },
      0, 0);
}

void ProbeRun::fill() {
  for (Run& run : runs_)
    while (in_flight_ < in_flight_at_most && run.started < run.probes.size()) start_next(run);
}

void ProbeRun::start_next(Run& run) {
  const std::size_t place = run.started++;
  auto started = prober_.start(run.probes[place], [this, &run, place](const probes::ProbeResult& result) {
    --in_flight_;
    run.pending[place].reset(); // at once: its socket would call again
    end(run, place, result);
  });
  if (const auto* result = std::get_if<probes::ProbeResult>(&started)) {
    end(run, place, *result);
  } else {
    ++in_flight_;
    run.pending[place] = std::move(std::get<std::unique_ptr<probes::PendingProbe>>(started));
  }
}

void ProbeRun::end(Run& run, std::size_t place, const probes::ProbeResult& result) {
  run.results[place] = result;
  ++run.ended;
  wake();
}

void ProbeRun::reap() {
  for (auto run = runs_.begin(); run != runs_.end();) {
    if (run->ended < run->probes.size()) {
      ++run;
      continue;
    }
    Run finished = std::move(*run);
    run = runs_.erase(run);
    finished.pending.clear();
    for (const probes::Probe& probe : finished.probes) prober_.remove(probe);
    finished.on_results(finished.results);
  }
}

} // namespace hanat
