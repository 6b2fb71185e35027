// Runs probes repeatedly, each at its own rate, on one libuv loop, and passes every result to one function.
// Not here: what a result means, when the rate changes (daemon/failover/health_monitor), how one probe runs (kinds/).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include <uv.h>

#include "probes/result.hpp"

namespace hanat::probes {

/// The interval from start to start, and how many runs of one probe may be in flight at once.
struct Rate {
  Clock::duration interval = std::chrono::seconds{1};
  unsigned in_flight = 1;
  bool operator==(const Rate&) const = default;
};

/// How late probes started, counted in steps of 0.1 ms; the last step counts everything later.
struct LatenessHistogram {
  static constexpr std::chrono::microseconds step{100};
  std::array<std::uint64_t, 1024> counts{};
  std::uint64_t started = 0;
  std::uint64_t skipped = 0; // starts skipped because this process was suspended; they are not made up for
  /// The lateness that the given fraction (0.99) of all starts did not exceed.
  Clock::duration quantile(double fraction) const;
};

enum class ProbeId : std::uint64_t {};

class Scheduler {
public:
  /// Called on the loop; it may add and remove probes and change their rates, including the probe that finished.
  using OnProbeResult = std::function<void(ProbeId, const ProbeResult&)>;

  /// Called right before every start: a result that is known without probing, or nullopt. It must be cheap, and must not add or remove
  /// probes.
  using Precheck = std::function<std::optional<ProbeResult>(const Probe&)>;

  Scheduler(uv_loop_t* loop, OnProbeResult on_result, Precheck precheck = {});
  ~Scheduler(); // cancels everything in flight; the loop must run once more to close handles
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  /// Equal probes share one run, at the fastest of their rates; each subscriber gets every result. Never calls back from inside. The first
  /// run starts after a random part of min(interval, first_within), so that ten thousand do not start at once.
  ProbeId add(const Probe& probe, Rate rate, Clock::duration first_within);
  /// The reference is valid until the last subscriber is removed. Throws std::out_of_range for an unknown id.
  const Probe& probe(ProbeId id) const;
  /// This subscriber gets no further result. Removing the last one cancels the runs in flight.
  void remove(ProbeId id);
  /// A new rate counts from the last start: a faster one may start at once, but never sooner than its interval after the last start.
  void rate(ProbeId id, Rate rate);
  /// Starts the probe in the next turn of the loop, whatever its rate; with `in_flight` runs in flight, as soon as one of them finishes.
  void trigger(ProbeId id);

  std::size_t in_flight() const;
  const LatenessHistogram& lateness() const;

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace hanat::probes
