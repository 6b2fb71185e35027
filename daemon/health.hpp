// Is a server fit? Counts the answers of one question: down after M abnormal ones within T, up after enough normal ones in a row.
// Pure: `now` is an argument. Not here: what several questions of a server mean together for the service (decision), asking (probes).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "daemon/config.hpp"

namespace hanat {

using Time = Clock::time_point;

enum class Health : std::uint8_t { unknown, up, down };
std::string_view to_text(Health health);

/// What a service's situation means for calling a server up (DESIGN 7).
struct Situation {
  bool target_works = false; // another server has the traffic and is fit: no hurry, wait for stable_for
  bool preferred = false;    // calling this server up would move the traffic to it
};

/// The window of one question: M timestamps and a run of normal answers.
class Window {
public:
  Window(const DownRule& down, const UpRule& up) : down_(down), up_(up) {}

  /// Counts one answer. A blind one counts for nothing.
  void record(probes::Outcome outcome, Time now);
  /// A signal of the kernel: ask in a burst, judge nothing. False: nothing to do, since a burst is under way, the server is down anyway, or
  /// the last signal is less than a second old (a client that nobody can help may knock all day).
  bool signal(Time now);
  /// Moves from unknown or down to up when the run of normal answers allows it.
  void assess(const Situation& situation, Time now);
  /// When assess() would say up if no further answer came; nullopt: not by waiting.
  std::optional<Time> stable_at() const;

  Health health() const { return health_; }
  /// Abnormal answers within the last T.
  unsigned fails(Time now) const;
  /// Ask at fast_interval: unknown, or in a burst that has not ended in a verdict or in `fails` normal answers in a row.
  bool urgent() const;
  /// New rules, same history (a reload).
  void set_rules(const DownRule& down, const UpRule& up);

private:
  void record_normal(Time now);
  void record_abnormal(Time now);

  DownRule down_;
  UpRule up_;
  Health health_ = Health::unknown;
  std::vector<Time> abnormal_; // the newest M at most, oldest first
  unsigned passes_ = 0;        // normal answers in a row
  Time run_began_{};           // of the first of them
  bool burst_ = false;
  std::optional<Time> signalled_; // the last signal that began a burst
  unsigned passes_in_burst_ = 0;
};

/// A server is down when any of its questions says so, up when all do.
Health combine(std::span<const Health> questions);

} // namespace hanat
