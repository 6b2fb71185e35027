// Is a server up? Counts the results of one probe: down after M fails within T, full after M results that are no pass within T, up after
// enough passes in a row.
// Pure: `now` is an argument. Not here: what several servers mean for the service (decision), sending probes (probes).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "daemon/config/config.hpp"

namespace hanat {

enum class Health : std::uint8_t {
  unknown,
  up,
  full, // it works, and takes no more clients: those it has stay, new ones go elsewhere if they can
  down
};
std::string_view to_text(Health health);

/// What the rest of the service means for calling a server up.
struct Context {
  bool target_works = false; // another server has the traffic and is not down: no hurry, wait for stable_for
  bool preferred = false;    // calling this server up would move the traffic to it
  bool renamed = false;      // it is the target itself, whose name has another address now: nothing has failed, no stable_for
  bool takes_over = false;   // the server is up by other probes, whose place this one takes: one pass makes it up
};

/// The passes in a row of a server that is not up again yet.
struct Recovery {
  unsigned passes = 0, of = 0; // so many are needed
  Clock::duration lasts{}, stable_for{};
  bool operator==(const Recovery&) const = default;
};

/// Results in a row.
struct ResultRun {
  unsigned length = 0;
  Time began{}; // of the first of them
  bool operator==(const ResultRun&) const = default;
};

/// What results have made of a window: it goes on with it after a restart.
struct WindowCounts {
  Health health = Health::unknown;
  std::vector<Time> fails;         // the newest M at most, oldest first
  std::vector<Time> fails_or_full; // likewise
  ResultRun passes;
  ResultRun alive; // passes and full answers
  bool operator==(const WindowCounts&) const = default;
};

/// The window of one probe: M timestamps and a run of passes. A full answer is neither: it ends a run of passes, and a server that gives it
/// is alive. Fails count towards full, but full answers never towards down.
class FailureWindow {
public:
  FailureWindow(const DownRule& down, const UpRule& up) : down_(down), up_(up), up_by_(up) {}

  /// Counts one result. An inconclusive one counts for nothing.
  void record(probes::Outcome outcome, Time now);
  /// A kernel event begins a burst and decides nothing. False: a burst is under way, the server is down anyway, or the last event is less
  /// than a second old (a client that nobody can help may try all day).
  bool start_burst(Time now);
  /// Moves to up when the run of passes allows it; from down to full when a run of passes and full answers does.
  void evaluate(const Context& context, Time now);
  /// When evaluate() would say up, or full after down, if no further result came; nullopt: not by waiting.
  std::optional<Time> stable_at() const;
  /// When evaluate() would say up while another server works, if all further results pass; nullopt: it is up, or too few have passed.
  std::optional<Time> up_at() const;
  /// Of a server that is down or full; nullopt: it is not, or its last result was no pass.
  std::optional<Recovery> recovery(Time now) const;

  Health health() const { return counts_.health; }
  /// Passes in a row.
  unsigned passes() const { return counts_.passes.length; }
  /// What was enough when it last became up: not always the whole rule.
  const UpRule& up_by() const { return up_by_; }
  /// Fails within the last T.
  unsigned fails(Time now) const;
  /// Results within the last T that were no pass.
  unsigned fails_or_full(Time now) const;
  /// Probe at fast_interval: unknown, or in a burst that has not ended in a verdict or in `fails` passes in a row.
  bool in_burst() const;
  /// New rules, same history (a reload).
  void set_rules(const DownRule& down, const UpRule& up);

  const WindowCounts& counts() const { return counts_; }
  /// Goes on with what was counted before a restart. What is not down is probed as in a burst until it has passed often enough.
  void restore(WindowCounts counts);
  /// It has passed since it was restored, or it never was: what was known before a restart may be out of date.
  bool is_confirmed() const { return confirmed_; }

private:
  void record_pass(Time now);
  void record_full(Time now);
  void record_fail(Time now);
  void calm_burst();
  void add(std::vector<Time>& times, Time now) const;

  DownRule down_;
  UpRule up_, up_by_;
  WindowCounts counts_;
  bool confirmed_ = true;
  bool burst_ = false;
  std::optional<Time> triggered_; // the last kernel event that began a burst
  unsigned passes_in_burst_ = 0;
};

/// A server is down when any of its probes says so, unknown while one has not judged it, full when any says so, up when all do.
Health combine(std::span<const Health> probes);

} // namespace hanat
