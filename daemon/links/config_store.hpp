// The files of the configuration: reads them, copies the accepted ones to the state directory, and notes there which one is on trial. On
// threads of its own: a disk that hangs delays nothing. Not here: what is copied and how (config/last_good_config), when
// (control/reload_requests).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <uv.h>

#include "daemon/control/reload_requests.hpp"
#include "daemon/util/job_queue.hpp"

namespace hanat {

class ConfigStore {
public:
  /// `config`: the file that is read; `in_use`: what it held at the start.
  ConfigStore(uv_loop_t* loop, std::string state, std::string config, ConfigPtr in_use);

  // the steps of a reload
  void read(const std::function<void(ConfigPtr)>& done);
  void begin_trial(const ConfigPtr& next, const std::function<void(ReloadSteps::Trial)>& done);
  void keep(const ConfigPtr& kept, const std::function<void(const std::string& failure)>& done);
  /// Waits for the copy that is under way. A read that hangs is left alone. Nothing may be asked for afterwards.
  void stop();

private:
  std::string state_, config_;
  ConfigPtr last_;                  // without errors
  std::uint64_t confirmed_;         // the content of the last configuration that was not, or is not any more, on trial
  std::unique_ptr<JobQueue> reads_; // until stop()
  JobQueue copies_;
};

} // namespace hanat
