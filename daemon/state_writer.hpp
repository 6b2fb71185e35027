// Writes the state file beside the loop: the newest state, one after the other, and never two at a time.
// Not here: what stands in it (state), when it changes (gateway).
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "daemon/side_thread.hpp"
#include "daemon/state.hpp"

namespace hanat {

class StateWriter {
public:
  using OnFailure = std::function<void(const std::string& error)>; // called on the loop
  using Save = std::function<void(const State&)>;                  // called on the thread; throws std::exception
  /// `patience`: how long the loop waits for the disk, and with it every server's watch and systemd's: a disk that hangs must not stop a
  /// failover.
  StateWriter(uv_loop_t* loop, OnFailure on_failure, Save save, probes::Clock::duration patience = std::chrono::seconds{1});

  /// Does not wait for the disk; of states that come while it writes only the last is written.
  void save_soon(State state);
  /// Returns when it stands on the disk, or has failed. That the disk has not answered in time is a failure, too; it is saved when it does.
  void save_now(State state);
  /// Waits for what is being written.
  void finish();

private:
  void start(State state, probes::Clock::duration wait);
  void ended();

  OnFailure on_failure_;
  Save save_;
  probes::Clock::duration patience_;
  std::optional<State> next_;
  std::string error_; // the thread's, while it is busy
  SideThread thread_;
};

} // namespace hanat
