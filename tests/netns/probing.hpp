// A libuv loop with an engine on it, for tests that ask real sockets. Not here: servers (scripted).
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include <gtest/gtest.h>
#include <uv.h>

#include "probes/engine.hpp"
#include "tests/netns/isolated.hpp"

namespace hanat::test {

class Probing {
public:
  using Clock = probes::Clock;

  Probing();
  ~Probing(); // fails the test when a handle is left open

  /// Runs the loop until `done` says so; false: it did not within `limit`.
  bool run_until(const std::function<bool()>& done, Clock::duration limit = std::chrono::seconds{10});
  void run_for(Clock::duration time);
  /// Blocks the loop for so long when the next question has just been asked, before its answer can be heard.
  void stand_still(Clock::duration time);

  struct Heard {
    probes::QuestionId id;
    probes::Answer answer;
  };
  std::vector<Heard> heard;
  std::function<void(probes::QuestionId, const probes::Answer&)> on_answer; // after it was noted in `heard`

  uv_loop_t loop{};
  std::unique_ptr<probes::Engine> engine;
};

/// Asks once, with an engine of its own.
probes::Answer ask_once(const probes::Question& question);

probes::Question tcp_question(const Endpoint& server, probes::Clock::duration timeout = std::chrono::milliseconds{300});
probes::Question http_question(const Endpoint& server, probes::Clock::duration timeout = std::chrono::milliseconds{300},
                               probes::Kind kind = probes::Kind::http);
/// The same for the server, another one for the engine, which asks equal questions once.
probes::Question variant(probes::Question question, std::size_t number);
Endpoint at(const char* address, std::uint16_t port);

void print_lateness(const Probing& probing, const char* what);

/// What a machine with other things to do may add to a deadline.
constexpr std::chrono::milliseconds noise{50};

/// Judged at the deadline: not earlier, and no more than `noise` later.
testing::AssertionResult at_deadline(probes::Clock::duration latency, probes::Clock::duration timeout);

} // namespace hanat::test
