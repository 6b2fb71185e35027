// Asks the questions it was given, each at its own pace, on one libuv loop, and hands every answer to one function.
// Not here: what an answer means, when a burst begins or ends (daemon/health says the pace).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include <uv.h>

#include "probes/probe.hpp"

namespace hanat::probes {

/// Start to start, and how many of one question may be under way at once.
struct Pace {
  Clock::duration interval = std::chrono::seconds{1};
  unsigned in_flight = 1;
  bool operator==(const Pace&) const = default;
};

enum class QuestionId : std::uint64_t {};

class Engine {
public:
  /// Called on the loop; it may add, remove and pace questions, the one that was answered too.
  using Answered = std::function<void(QuestionId, const Answer&)>;

  Engine(uv_loop_t* loop, Answered answered);
  ~Engine(); // cancels everything under way; the loop must run once more to close handles
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// The first question is asked after a random part of min(interval, first_within), so that ten thousand do not start at once.
  QuestionId add(const Question& question, Pace pace, Clock::duration first_within);
  void remove(QuestionId id);
  /// A new pace counts from the last start: a faster one may ask at once, never sooner than its interval after the last start.
  void pace(QuestionId id, Pace pace);
  void ask_now(QuestionId id);

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace hanat::probes
