// A side thread, and the state that waits for it.
#include "daemon/state_writer.hpp"

#include <chrono>
#include <memory>
#include <system_error>
#include <utility>

namespace hanat {

StateWriter::StateWriter(uv_loop_t* loop, std::filesystem::path dir, OnFailure on_failure)
    : dir_(std::move(dir)), on_failure_(std::move(on_failure)), thread_(loop, [this] { ended(); }) {}

void StateWriter::save_soon(State state) {
  if (thread_.busy())
    next_ = std::move(state);
  else
    start(std::move(state), probes::Clock::duration::zero());
}

void StateWriter::save_now(State state) {
  next_.reset(); // it is older
  finish();
  start(std::move(state), std::chrono::hours{1});
}

void StateWriter::finish() {
  while (thread_.join()) ended();
}

void StateWriter::start(State state, probes::Clock::duration patience) {
  const auto job = [this, kept = std::make_shared<const State>(std::move(state))] {
    try {
      save_state(dir_, *kept);
    } catch (const std::exception& error) {
      error_ = error.what();
    }
  };
  if (thread_.run(job, patience)) ended();
}

void StateWriter::ended() {
  if (const std::string error = std::exchange(error_, {}); !error.empty()) on_failure_(error);
  if (auto next = std::exchange(next_, {})) start(std::move(*next), probes::Clock::duration::zero());
}

} // namespace hanat
