// The running daemon: builds its parts at the start, in the order in which they depend on each other, and reloads and stops them.
// Not here: arguments, the choice of the configuration at the start (main); what the parts do.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>
#include <uv.h>

#include "daemon/config/read_config.hpp"
#include "daemon/control/config_in_use.hpp"
#include "daemon/control/examinations.hpp"
#include "daemon/control/handlers.hpp"
#include "daemon/control/reload_requests.hpp"
#include "daemon/control/server.hpp"
#include "daemon/failover/controller.hpp"
#include "daemon/links/config_store.hpp"
#include "daemon/links/config_watch.hpp"
#include "daemon/links/interface_link.hpp"
#include "daemon/links/name_link.hpp"
#include "daemon/links/peer_link.hpp"
#include "daemon/links/state_keeper.hpp"
#include "daemon/pair/program_monitor.hpp"
#include "daemon/report/history.hpp"
#include "daemon/report/hooks/hooks.hpp"
#include "daemon/report/journal.hpp"
#include "daemon/report/make_event.hpp"
#include "daemon/report/metrics_server.hpp"
#include "daemon/report/sd_notify.hpp"
#include "daemon/state/state_file.hpp"
#include "daemon/util/job_queue.hpp"
#include "nat/conntrack/capabilities.hpp"
#include "probes/io/uv.hpp"

namespace hanat {

/// Where the files of hanatd are on this machine.
struct Paths {
  std::string config = "/etc/hanat/hanat.toml"; // that a reload reads
  std::string socket = "/run/hanat/control.sock";
  std::string state = "/var/lib/hanat"; // a directory
  std::string table = "hanat";
  bool shared_table = false; // other programs may change the table
};

/// The configuration at the start.
struct StartConfig {
  ConfigPtr config;
  std::string file;
  std::optional<std::string> fallback = {}; // why it is not the file that was given
};

class Daemon {
public:
  /// Throws std::exception when the kernel, the state directory or the socket is refused: nothing was changed then.
  Daemon(uv_loop_t* loop, Paths paths, const StartConfig& start, const nat::ProvenFilters& filters);
  /// Returns after a signal to stop.
  void run();

private:
  ReloadSteps reload_steps();
  void apply(const ConfigPtr& next, const std::string& by, const std::function<void(const Reloaded&)>& done);
  std::optional<ClientNotifier> make_client_notifier() const;
  void serve_metrics(const std::optional<Endpoint>& at);
  void on_signal(int number);
  void watch_signal(int number);
  void trim_memory();
  void stop();
  void publish(Event event);
  void log(events::Payload what) const;

  uv_loop_t* loop_;
  Paths paths_;
  Journal journal_;
  std::unique_ptr<Hooks> hooks_; // until stop()
  StateLock lock_;
  StateKeeper state_;
  std::unique_ptr<History> history_;
  SdNotify notify_;
  std::unique_ptr<Controller> controller_;
  struct Sources { // of addresses that are not configured; until stop()
    std::unique_ptr<NameLink> names = {};
    std::unique_ptr<InterfaceLink> interfaces = {};
  } sources_;
  std::unique_ptr<Examinations> examinations_;
  ConfigInUse config_;
  ConfigStore store_;
  std::unique_ptr<ReloadRequests> reloads_; // until stop()
  std::unique_ptr<Handlers> handlers_;
  std::unique_ptr<ControlServer> control_;
  struct Metrics {
    std::optional<Endpoint> at = {}; // as configured
    std::unique_ptr<MetricsServer> server = {};
  } metrics_;
  std::unique_ptr<ProgramMonitor> programs_;
  std::unique_ptr<PeerLink> link_;
  std::unique_ptr<ConfigWatch> config_watch_;
  std::vector<UvHandle<uv_signal_t>> signals_;
  UvHandle<uv_timer_t> trim_timer_;
  JobQueue proofs_; // of what the kernel can do
};

} // namespace hanat
