// Keeps the state directory up to date: what operators set, flows that drain, and what is known of the servers; and the track file of a
// pair. Not here: the files (state, pair), what they hold (failover).
#pragma once

#include <filesystem>
#include <functional>
#include <future>
#include <memory>

#include <uv.h>

#include "daemon/failover/controller.hpp"
#include "daemon/links/name_link.hpp"
#include "daemon/pair/track_file.hpp"
#include "daemon/report/event.hpp"
#include "daemon/report/history.hpp"
#include "daemon/state/health_writer.hpp"
#include "daemon/state/state_writer.hpp"

namespace hanat {

class StateKeeper {
public:
  using Log = std::function<void(events::Payload what)>;
  StateKeeper(uv_loop_t* loop, std::filesystem::path dir, Log log);

  /// Starts the controller with what is kept, and writes from then on what changes.
  void start(Controller& controller, NameLink& names, const std::shared_ptr<const Config>& config, const HistoryRing& history);
  /// What operators set, what drains, and the addresses of names.
  void save(const Controller& controller, Controller::Urgency urgency);
  /// Services may have changed; those that are not there yet are not written.
  void health_changed(std::set<std::string> services);
  /// What keepalived is told of a pair, and where.
  void server_reached(bool reached) { track_file_.set(reached); }
  void follow(const Config& config) {
    track_file_.set_path(config.pair ? config.pair->track_file : "");
    removes_table_ = config.on_stop == OnStop::remove;
  }
  /// Before the controller stops: its services still have their probes.
  void save_health() { health_writer_.finish(); }
  /// Waits for all writes.
  void finish() {
    writer_.finish();
    if (removes_table_) track_file_.set(false); // otherwise connections go on, and so does what the file says
    track_file_.finish();
  }

private:
  std::filesystem::path dir_;
  Log log_;
  std::future<SavedHealth> saved_health_; // until start()
  const Controller* controller_ = nullptr;
  const NameLink* names_ = nullptr; // until finish()
  StateWriter writer_;
  HealthWriter health_writer_;
  TrackFile track_file_;
  bool removes_table_ = false; // at the stop
};

} // namespace hanat
