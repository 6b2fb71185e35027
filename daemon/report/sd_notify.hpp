// Messages to systemd: ready, alive, reloading, stopping, and one line for `systemctl status`. Without systemd nothing is sent. They are
// sent on a thread of its own: the socket of a systemd that hangs fills up. Not here: the journal (journal), the status that hanatctl shows
// (make_status).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <uv.h>

#include "daemon/decision/service_state.hpp"
#include "probes/io/uv.hpp"

namespace hanat {

/// "3 services: 2 at the primary, 1 at a backup". Numbers that are zero are left out.
std::string summary(const std::vector<std::unique_ptr<ServiceState>>& services);

class SdNotify {
public:
  SdNotify(uv_loop_t* loop, std::function<std::string()> status);
  /// Waits at most a second until everything is sent.
  ~SdNotify();
  SdNotify(const SdNotify&) = delete;
  SdNotify& operator=(const SdNotify&) = delete;

  /// From now on the watchdog is fed, as long as the loop runs.
  void ready();
  void reloading() const;
  void reloaded() const;
  void stopping();
  /// The line may have changed; it is sent a moment later, once for all changes until then.
  void changed();

private:
  struct Queue;
  void send(std::string message) const;
  void send_status() const;

  std::shared_ptr<Queue> queue_; // shared with the thread, which cannot be ended while it waits in a write; null: without systemd
  uv_loop_t* loop_;
  std::function<std::string()> status_;
  UvHandle<uv_timer_t> watchdog_, soon_;
};

} // namespace hanat
