// When hanatd is asked for what: all services as often as that costs little, those in view every second, those that something happened to
// at once. Pure: `now` is an argument. Not here: asking (connection).
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace hanat::cli::top {

class Schedule {
public:
  using Time = std::chrono::steady_clock::time_point;
  using Span = std::chrono::steady_clock::duration;

  /// What to ask for now.
  struct Work {
    bool all = false;
    std::vector<std::string> names = {}; // where not all
    bool operator==(const Work&) const = default;
  };

  /// The services in view: their latencies and countdowns are looked at.
  void set_visible(std::vector<std::string> names) { visible_ = std::move(names); }
  /// Something happened to a service.
  void mark(const std::string& name);
  /// Services came or went.
  void mark_all() { marked_all_ = true; }

  /// nullopt: nothing is due before next().
  std::optional<Work> due(Time now);
  Time next() const;

  /// All were asked for, and it took so long until they were on the screen.
  void all_done(Time now, Span took);
  void some_done(Time now);
  /// hanatd does not answer.
  void failed(Time now);

  /// A second for what takes up to 20 ms; otherwise a fiftieth of the time goes into it, down to once in half a minute.
  static Span period_for(Span took);

private:
  bool wants_all() const { return marked_all_ || marked_.size() > most_marked; }

  static constexpr std::size_t most_marked = 50; // more are cheaper together
  std::vector<std::string> visible_;
  std::set<std::string> marked_;
  bool marked_all_ = false, small_ = false; // small: all are asked for as often as those in view
  Time next_all_{}, soonest_all_{}, next_visible_{}, soonest_some_{};
};

} // namespace hanat::cli::top
