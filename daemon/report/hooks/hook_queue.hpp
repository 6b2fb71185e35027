// When hooks are called, and with which events: one call at a time for each owner, and what comes meanwhile becomes one call. Pure, the
// time is an argument. Not here: what they are told (hook_event), running them (hook_runner).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "daemon/report/hooks/hook_event.hpp"
#include "nat/clock.hpp"

namespace hanat {

class HookQueue {
public:
  static constexpr std::chrono::milliseconds gather{20}; // services that fail together are one call of [hanatd]'s hook
  static constexpr std::chrono::seconds spacing{1};      // from the start of a call to the next one of the same owner
  static constexpr std::size_t at_once = 16;             // calls of services; that of [hanatd] waits for none of them
  static constexpr std::size_t most_events = 20;         // of one call that are told in full

  void add(const std::string& owner, HookEvent event, Time now);
  /// The next call to make; ended() must follow. nullopt: none yet.
  std::optional<HookBatch> next(Time now);
  void ended(const std::string& owner, Time now);
  /// When next() may have one. nullopt: not before something ends or is added.
  std::optional<Time> next_wakeup() const;

  std::size_t running() const { return running_ + (own_runs_ ? 1 : 0); }
  /// Events that no call was made for yet.
  std::uint64_t waiting() const { return waiting_; }

private:
  struct Owner {
    std::optional<HookBatch> batch = {}; // the next call
    std::optional<Time> due = {};        // of it; nullopt: one runs
    Time earliest{};                     // the spacing has passed
    bool runs = false;
  };
  void schedule(const std::string& name, Owner& owner, Time at);
  void forget_idle(Time now);

  std::unordered_map<std::string, Owner> owners_;
  std::set<std::pair<Time, std::string>> due_;
  std::deque<std::string> idle_; // those that ended with nothing to do, in the order of their ends
  std::size_t running_ = 0;      // of services
  bool own_runs_ = false;
  std::uint64_t waiting_ = 0;
};

} // namespace hanat
