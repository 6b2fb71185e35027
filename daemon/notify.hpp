// What systemd is told: ready, alive, reloading, stopping, and one line for `systemctl status`. Without systemd nothing happens.
// Not here: the journal (journal), what operators ask for (report).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <uv.h>

#include "daemon/running_service.hpp"
#include "daemon/uv_handle.hpp"

namespace hanat {

/// "3 services: 2 at the primary, 1 at a backup". Only what there is any of is named.
std::string summary(const std::vector<std::unique_ptr<RunningService>>& services);

class Notify {
public:
  Notify(uv_loop_t* loop, std::function<std::string()> status);

  /// From here on the watchdog is fed, as long as the loop turns.
  void ready();
  void reloading() const;
  void reloaded() const;
  void stopping();
  /// Something changed that the line may tell; it is sent a moment later, once for all that came meanwhile.
  void changed();

private:
  void send_status() const;

  uv_loop_t* loop_;
  std::function<std::string()> status_;
  UvHandle<uv_timer_t> watchdog_, soon_;
};

} // namespace hanat
