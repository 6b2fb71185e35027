// Moments in the future.
#include "cli/top/schedule.hpp"

#include <algorithm>
#include <utility>

namespace hanat::cli::top {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds period_of_visible{1};
constexpr milliseconds pause_between_some{200}; // a server that flaps has many events
constexpr int pauses_between_all = 4;           // of what asking took: many events at once cost a fifth of the time
constexpr milliseconds pause_after_failure{500};

} // namespace

void Schedule::mark(const std::string& name) {
  if (!wants_all()) marked_.insert(name);
}

std::optional<Schedule::Work> Schedule::due(Time now) {
  if (now >= next_all_ || (wants_all() && now >= soonest_all_)) {
    marked_all_ = false;
    marked_.clear();
    return Work{.all = true};
  }
  std::set<std::string> names;
  if (!wants_all() && !marked_.empty() && now >= soonest_some_) names = std::exchange(marked_, {});
  if (!small_ && now >= next_visible_) names.insert(visible_.begin(), visible_.end());
  if (names.empty()) return std::nullopt;
  return Work{.all = false, .names = {names.begin(), names.end()}};
}

Schedule::Time Schedule::next() const {
  Time next = next_all_;
  if (wants_all()) next = std::min(next, soonest_all_);
  if (!wants_all() && !marked_.empty()) next = std::min(next, soonest_some_);
  if (!small_ && !visible_.empty()) next = std::min(next, next_visible_);
  return next;
}

Schedule::Span Schedule::period_for(Span took) {
  constexpr int share = 50;
  return std::clamp<Span>(took * share, seconds{1}, seconds{30});
}

void Schedule::all_done(Time now, Span took) {
  small_ = period_for(took) == seconds{1};
  next_all_ = now + period_for(took);
  soonest_all_ = now + std::max<Span>(took * pauses_between_all, pause_between_some);
  next_visible_ = now + period_of_visible;
  soonest_some_ = now + pause_between_some;
}

void Schedule::some_done(Time now) {
  if (now >= next_visible_) next_visible_ = now + period_of_visible;
  soonest_some_ = now + pause_between_some;
}

void Schedule::failed(Time now) {
  marked_.clear();
  marked_all_ = false;
  next_all_ = now + pause_after_failure;
  next_visible_ = soonest_some_ = soonest_all_ = next_all_;
}

} // namespace hanat::cli::top
