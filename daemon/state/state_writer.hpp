// Writes the state files on a thread of its own: always the newest state, one write at a time.
// Not here: the content of the files (state_file), when the state changes (failover).
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "daemon/state/state_file.hpp"
#include "daemon/util/worker_thread.hpp"

namespace hanat {

class StateWriter {
public:
  using OnFailure = std::function<void(const std::string& error)>; // called on the loop
  using Save = std::function<void(const State&)>;                  // called on the thread; throws std::exception
  /// `wait`: the longest time that the loop waits for the disk. While it waits, probes and failover stop, so a hanging disk must not block
  /// it.
  StateWriter(uv_loop_t* loop, OnFailure on_failure, Save save, Clock::duration wait = std::chrono::seconds{1});

  /// Does not wait for the disk. Of several states that arrive during a write only the last one is written.
  void save_soon(State state);
  /// Returns when the state is on the disk or the write has failed. A disk that does not respond in time is also a failure; the state is
  /// saved when it responds again.
  void save_now(State state);
  /// Waits for all writes.
  void finish();

private:
  void start(State state, Clock::duration wait);
  void ended();

  OnFailure on_failure_;
  Save save_;
  Clock::duration wait_;
  std::optional<State> next_;
  std::string error_; // belongs to the thread while it is busy
  WorkerThread thread_;
};

} // namespace hanat
