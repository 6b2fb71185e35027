// Is a server up? Counts the results of one probe: down after M fails within T, up after enough passes in a row.
// Pure: `now` is an argument. Not here: what several servers mean for the service (decision), sending probes (probes).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "daemon/config/config.hpp"

namespace hanat {

enum class Health : std::uint8_t { unknown, up, down };
std::string_view to_text(Health health);

/// What the rest of the service means for calling a server up.
struct Context {
  bool target_works = false; // another server has the traffic and is not down: no hurry, wait for stable_for
  bool preferred = false;    // calling this server up would move the traffic to it
};

/// The window of one probe: M timestamps and a run of passes.
class FailureWindow {
public:
  FailureWindow(const DownRule& down, const UpRule& up) : down_(down), up_(up) {}

  /// Counts one result. An inconclusive one counts for nothing.
  void record(probes::Outcome outcome, Time now);
  /// A kernel event begins a burst and decides nothing. False: a burst is under way, the server is down anyway, or the last event is less
  /// than a second old (a client that nobody can help may try all day).
  bool start_burst(Time now);
  /// Moves from unknown or down to up when the run of passes allows it.
  void evaluate(const Context& context, Time now);
  /// When evaluate() would say up if no further result came; nullopt: not by waiting.
  std::optional<Time> stable_at() const;

  Health health() const { return health_; }
  /// Fails within the last T.
  unsigned fails(Time now) const;
  /// Probe at fast_interval: unknown, or in a burst that has not ended in a verdict or in `fails` passes in a row.
  bool in_burst() const;
  /// New rules, same history (a reload).
  void set_rules(const DownRule& down, const UpRule& up);

private:
  void record_pass(Time now);
  void record_fail(Time now);

  DownRule down_;
  UpRule up_;
  Health health_ = Health::unknown;
  std::vector<Time> fails_; // the newest M at most, oldest first
  unsigned passes_ = 0;     // in a row
  Time run_began_{};        // of the first of them
  bool burst_ = false;
  std::optional<Time> triggered_; // the last kernel event that began a burst
  unsigned passes_in_burst_ = 0;
};

/// A server is down when any of its probes says so, up when all do.
Health combine(std::span<const Health> probes);

} // namespace hanat
