// A worker thread, and the state that waits for it.
#include "daemon/state/state_writer.hpp"

#include <exception>
#include <memory>
#include <utility>

namespace hanat {

StateWriter::StateWriter(uv_loop_t* loop, OnFailure on_failure, Save save, Clock::duration wait)
    : on_failure_(std::move(on_failure)), save_(std::move(save)), wait_(wait), thread_(loop, [this] { ended(); }) {}

void StateWriter::save_soon(State state) {
  if (thread_.busy())
    next_ = std::move(state);
  else
    start(std::move(state), Clock::duration::zero());
}

void StateWriter::save_now(State state) {
  next_.reset(); // superseded
  if (thread_.busy() && thread_.join(wait_)) ended();
  if (thread_.busy())
    next_ = std::move(state);
  else
    start(std::move(state), wait_);
  if (thread_.busy()) on_failure_("the disk does not respond");
}

void StateWriter::finish() {
  while (thread_.join()) ended();
}

void StateWriter::start(State state, Clock::duration wait) {
  const auto job = [this, saved = std::make_shared<const State>(std::move(state))] {
    try {
      save_(*saved);
    } catch (const std::exception& error) {
      error_ = error.what();
    }
  };
  if (thread_.run(job, wait)) ended();
}

void StateWriter::ended() {
  if (const std::string error = std::exchange(error_, {}); !error.empty()) on_failure_(error);
  if (auto next = std::exchange(next_, {})) start(std::move(*next), Clock::duration::zero());
}

} // namespace hanat
