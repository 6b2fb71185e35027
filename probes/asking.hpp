// What every kind of probe gives the engine: a question under way that can be cancelled, and how its answer comes back.
// A new kind is one file with one function that returns Asked, and one line in kinds.cpp. Not here: pacing, judging.
#pragma once

#include <functional>
#include <memory>
#include <variant>

#include "probes/probe.hpp"

namespace hanat::probes {

/// One question under way. Destroying it cancels it: its answer never comes.
class Asking {
public:
  Asking() = default;
  virtual ~Asking() = default;
  Asking(const Asking&) = delete;
  Asking& operator=(const Asking&) = delete;
};

/// Called on the loop, once, never from inside the function that asked. It may destroy the Asking: whoever calls it moves it away first and
/// touches nothing of its own afterwards; nor does the answer live in the Asking.
using Done = std::function<void(const Answer&)>;

/// The answer, where it was known at once (then Done is never called), or the question under way.
using Asked = std::variant<Answer, std::unique_ptr<Asking>>;

/// A right answer, or a slow one where it came later than the spec allows.
Answer right_answer(const Spec& spec, Reason reason, Clock::duration latency);

} // namespace hanat::probes
