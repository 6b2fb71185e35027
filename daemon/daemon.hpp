// The running daemon: everything that a start builds, in the order in which it depends on each other, and what a reload and the end do to
// it. Not here: arguments, which configuration a start goes by (main); what the parts do.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <uv.h>

#include "daemon/commands.hpp"
#include "daemon/config.hpp"
#include "daemon/control.hpp"
#include "daemon/gateway.hpp"
#include "daemon/history.hpp"
#include "daemon/journal.hpp"
#include "daemon/metrics_server.hpp"
#include "daemon/notify.hpp"
#include "daemon/side_thread.hpp"
#include "daemon/state_writer.hpp"
#include "daemon/uv_handle.hpp"

namespace hanat {

/// What is hanatd's on this machine.
struct Places {
  std::string config = "/etc/hanat/hanat.toml"; // what a reload reads
  std::string socket = "/run/hanat/control.sock";
  std::string state = "/var/lib/hanat"; // a directory
  std::string table = "hanat";
  bool shared_table = false; // others may change the table
};

/// What a start goes by.
struct StartConfig {
  Config config;
  std::string file;
  std::optional<std::string> fallback; // why it is not the file that was named
};

class Daemon {
public:
  /// Throws std::exception where the kernel, the state directory or the socket is refused: nothing was changed then.
  Daemon(uv_loop_t* loop, Places places, const StartConfig& start);
  /// Returns when it was told to stop.
  void run();

private:
  nlohmann::json reload();
  void accepted();
  void keep();
  void kept();
  std::optional<Telling> make_telling() const;
  std::string operators_of(const Config& config) const;
  void serve_metrics(const std::optional<Endpoint>& at);
  void on_signal(int number);
  void watch_signal(int number);
  void give_memory_back();
  void stop();
  void publish(const Event& event);
  void tell(Level level, const std::string& text) const { journal_.write({.level = level, .service = {}, .text = text}); }

  uv_loop_t* loop_;
  Places places_;
  Journal journal_;
  StateLock lock_;
  StateWriter writer_;
  std::unique_ptr<History> history_;
  Notify notify_;
  std::unique_ptr<Gateway> gateway_;
  std::unique_ptr<Commands> commands_;
  std::unique_ptr<ControlServer> control_;
  std::string operators_;              // as configured: there may be no such group
  std::optional<Endpoint> metrics_at_; // as configured
  std::unique_ptr<MetricsServer> metrics_;
  std::string keeping_failure_; // the keeper's, while it is busy
  bool keep_again_ = false;
  SideThread keeper_; // copies the configuration that was accepted: a disk that hangs holds up nobody
  std::vector<UvHandle<uv_signal_t>> signals_;
  UvHandle<uv_timer_t> tidy_up_;
};

} // namespace hanat
