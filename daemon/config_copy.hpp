// Copies the accepted configuration to the state directory, on a thread of its own: a disk that hangs delays nothing.
// Not here: what is copied and how (config/last_good_config).
#pragma once

#include <functional>
#include <string>

#include <uv.h>

#include "daemon/util/worker_thread.hpp"

namespace hanat {

class ConfigCopy {
public:
  /// `ended` is called after each copy, with its failure; empty: there is none.
  ConfigCopy(uv_loop_t* loop, std::string state, std::string config, std::function<void(const std::string& failure)> ended);

  void start();
  /// Waits for the copy that is under way, if there is one.
  void finish();

private:
  void copied();

  std::string state_, config_;
  std::function<void(const std::string&)> ended_;
  std::string failure_; // the thread's, while it is busy
  bool again_ = false;
  WorkerThread thread_;
};

} // namespace hanat
