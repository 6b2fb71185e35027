// What is due when: starting and stopping a timer costs the same with ten thousand as with ten, and allocates nothing.
// Pure: time is a number of ticks, an argument. Not here: the clock and the loop (timers).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

namespace hanat::probes {

class TimerWheel {
public:
  using Tick = std::uint64_t;

  /// Is in one wheel at a time, from start() until it is due or stopped. Its end stops it.
  class Timer { // NOLINT(cppcoreguidelines-virtual-class-destructor): GCC wants a virtual one where there is a friend
  public:
    Timer() = default;
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
    bool is_started() const { return wheel_ != nullptr; }
    void stop() {
      if (wheel_ != nullptr) wheel_->stop(*this);
    }

  protected:
    virtual ~Timer() { stop(); }

  private:
    friend class TimerWheel;
    /// It may start and stop any timer, and end this one.
    virtual void on_due() = 0;

    TimerWheel* wheel_ = nullptr; // null: it is in none
    Timer* before_ = nullptr;     // the neighbours in its slot
    Timer* after_ = nullptr;
    Tick due_ = 0;
    std::uint16_t slot_ = 0;
  };

  /// `changed` is called whenever next() may have changed, other than by advance().
  explicit TimerWheel(Tick now, std::function<void()> changed = {}) : now_(now), changed_(std::move(changed)) {}
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;
  ~TimerWheel(); // stops what is started

  /// Starts it, or starts it anew. What is due already waits for the next advance(), too.
  void start(Timer& timer, Tick due);
  void stop(Timer& timer);
  /// Calls all that are due by `now`, in the order of their ticks. One that is started meanwhile and due at once waits for the next call.
  void advance(Tick now);
  /// When advance() has something to do, though perhaps nothing is due then yet. nullopt: no timer is started.
  std::optional<Tick> next() const;

private:
  // A slot of level 0 is a tick, one of each further level as long as the whole level below it. A timer is in the lowest level whose slots
  // tell its tick from now; when its slot comes it moves to a lower one. Seven levels of milliseconds are 139 years.
  static constexpr unsigned bits = 6, levels = 7;
  static constexpr std::size_t slots = std::size_t{1} << bits;
  static constexpr std::uint16_t overdue = levels * slots; // the slot of what is due already
  static constexpr std::uint16_t taken = overdue + 1;      // and of what advance() is at

  struct Slot {
    Timer* first = nullptr;
    Timer* last = nullptr;
  };
  void insert(Timer& timer);
  void append(Timer& timer, std::size_t slot);
  void unlink(Timer& timer);
  void take(std::size_t slot);
  void call_taken();
  std::optional<std::pair<Tick, std::size_t>> next_slot() const;

  Tick now_;
  std::function<void()> changed_;
  std::array<Slot, levels * slots + 2> slots_;
  std::array<std::uint64_t, levels> used_{}; // a bit for each slot that is not empty
};

} // namespace hanat::probes
