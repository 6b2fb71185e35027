// Probes that are sent once because somebody asks. What comes back counts for no server's health. Not here: the probes that are sent all
// the time (probes/scheduling/scheduler), the kinds (probes/kinds).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <vector>

#include <uv.h>

#include "probes/io/uv.hpp"
#include "probes/scheduling/prober.hpp"

namespace hanat {

class ProbeRun {
public:
  static constexpr std::size_t in_flight_at_most = 64; // of all runs: the scheduled probes come first
  static constexpr std::size_t runs_at_most = 8;

  using OnResults = std::function<void(const std::vector<probes::ProbeResult>&)>; // in the order of the probes; on the loop

  explicit ProbeRun(uv_loop_t* loop);
  ~ProbeRun(); // no result comes any more
  ProbeRun(const ProbeRun&) = delete;
  ProbeRun& operator=(const ProbeRun&) = delete;

  /// False: too many runs are under way.
  bool start(std::vector<probes::Probe> probes, OnResults on_results);

private:
  struct Run {
    std::vector<probes::Probe> probes;
    std::vector<probes::ProbeResult> results;
    std::size_t started = 0, ended = 0;
    std::vector<std::unique_ptr<probes::PendingProbe>> pending; // by place
    OnResults on_results;
  };

  void wake();
  void fill();
  void start_next(Run& run);
  void end(Run& run, std::size_t place, const probes::ProbeResult& result);
  void reap();

  probes::Prober prober_;
  std::list<Run> runs_;
  std::size_t in_flight_ = 0;
  UvHandle<uv_timer_t> more_; // something has ended
};

} // namespace hanat
