// Looks every few seconds whether this machine forwards at all, since no probe notices: a probe comes from the machine itself. Reads on a
// thread of its own. Not here: every other setting (host_checks, on demand), what is done about it.
#pragma once

#include <functional>
#include <vector>

#include <uv.h>

#include "daemon/doctor/finding.hpp"
#include "daemon/util/job_queue.hpp"
#include "nat/address.hpp"
#include "probes/io/uv.hpp"

namespace hanat {

class SettingsWatch {
public:
  /// Addresses of all servers; some may be of this machine, which needs no forwarding.
  using Servers = std::function<std::vector<Address>()>;
  /// Called on the loop when a finding comes or has gone.
  using OnChange = std::function<void(const Finding& finding, bool gone)>;
  SettingsWatch(uv_loop_t* loop, Servers servers, OnChange on_change);

  /// What stops the clients of every service now.
  const std::vector<Finding>& found() const { return found_; }

private:
  void read();
  void look_closer();
  void take(std::vector<Finding> found);

  Servers servers_;
  OnChange on_change_;
  std::vector<Finding> found_;
  UvHandle<uv_timer_t> timer_;
  JobQueue jobs_;
};

} // namespace hanat
