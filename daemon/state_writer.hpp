// Writes the state file beside the loop: the newest state, one after the other, and never two at a time.
// Not here: what stands in it (state), when it changes (gateway).
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "daemon/side_thread.hpp"
#include "daemon/state.hpp"

namespace hanat {

class StateWriter {
public:
  using OnFailure = std::function<void(const std::string& error)>; // called on the loop
  StateWriter(uv_loop_t* loop, std::filesystem::path dir, OnFailure on_failure);

  /// Does not wait for the disk; of states that come while it writes only the last is written.
  void save_soon(State state);
  /// Returns when it stands on the disk, or has failed.
  void save_now(State state);
  /// Waits for what is being written.
  void finish();

private:
  void start(State state, probes::Clock::duration patience);
  void ended();

  std::filesystem::path dir_;
  OnFailure on_failure_;
  std::optional<State> next_;
  std::string error_; // the thread's, while it is busy
  SideThread thread_;
};

} // namespace hanat
