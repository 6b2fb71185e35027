// Asks the questions it was given, each at its own pace, on one libuv loop, and hands every answer to one function.
// Not here: what an answer means, when a burst begins or ends (daemon/health says the pace).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include <uv.h>

#include "probes/probe.hpp"

namespace hanat::probes {

/// Start to start, and how many of one question may be under way at once.
struct Pace {
  Clock::duration interval = std::chrono::seconds{1};
  unsigned in_flight = 1;
  bool operator==(const Pace&) const = default;
};

/// How late questions were asked, counted in steps of 0.1 ms; the last step holds everything later.
struct Lateness {
  static constexpr std::chrono::microseconds step{100};
  std::array<std::uint64_t, 1024> counts{};
  std::uint64_t asked = 0;
  std::uint64_t skipped = 0; // moments that passed while this process stood still; they are not made up for
  /// The lateness that the given part (0.99) of all questions did not exceed.
  Clock::duration quantile(double part) const;
};

enum class QuestionId : std::uint64_t {};

class Engine {
public:
  /// Called on the loop; it may add, remove and pace questions, the one that was answered too.
  using Answered = std::function<void(QuestionId, const Answer&)>;

  /// Asked right before every question: an answer that is known without asking, or nullopt. It must be cheap, and neither add nor remove.
  using Known = std::function<std::optional<Answer>(const Question&)>;

  Engine(uv_loop_t* loop, Answered answered, Known known = {});
  ~Engine(); // cancels everything under way; the loop must run once more to close handles
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// The same question asked of the same server by many is asked once, as often as the fastest of them wants it; each gets every answer.
  /// Never calls back from inside. The first question is asked after a random part of min(interval, first_within), so that ten thousand do
  /// not start at once.
  QuestionId add(const Question& question, Pace pace, Clock::duration first_within);
  /// Stays where it is until remove() of its last asker. Throws std::out_of_range for an unknown id.
  const Question& question(QuestionId id) const;
  /// No answer comes to this asker any more; with the last one, what is under way is cancelled.
  void remove(QuestionId id);
  /// A new pace counts from the last start: a faster one may ask at once, never sooner than its interval after the last start.
  void pace(QuestionId id, Pace pace);
  /// Asks in the next round of the loop, whatever the pace; with `in_flight` questions under way, as soon as one of them is answered.
  void ask_now(QuestionId id);

  std::size_t under_way() const;
  const Lateness& lateness() const;

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace hanat::probes
