// A side thread, and the state that waits for it.
#include "daemon/state_writer.hpp"

#include <memory>
#include <system_error>
#include <utility>

namespace hanat {

StateWriter::StateWriter(uv_loop_t* loop, OnFailure on_failure, Save save, probes::Clock::duration patience)
    : on_failure_(std::move(on_failure)), save_(std::move(save)), patience_(patience), thread_(loop, [this] { ended(); }) {}

void StateWriter::save_soon(State state) {
  if (thread_.busy())
    next_ = std::move(state);
  else
    start(std::move(state), probes::Clock::duration::zero());
}

void StateWriter::save_now(State state) {
  next_.reset(); // it is older
  if (thread_.busy() && thread_.join(patience_)) ended();
  if (thread_.busy())
    next_ = std::move(state);
  else
    start(std::move(state), patience_);
  if (thread_.busy()) on_failure_("the disk does not answer");
}

void StateWriter::finish() {
  while (thread_.join()) ended();
}

void StateWriter::start(State state, probes::Clock::duration wait) {
  const auto job = [this, kept = std::make_shared<const State>(std::move(state))] {
    try {
      save_(*kept);
    } catch (const std::exception& error) {
      error_ = error.what();
    }
  };
  if (thread_.run(job, wait)) ended();
}

void StateWriter::ended() {
  if (const std::string error = std::exchange(error_, {}); !error.empty()) on_failure_(error);
  if (auto next = std::exchange(next_, {})) start(std::move(*next), probes::Clock::duration::zero());
}

} // namespace hanat
