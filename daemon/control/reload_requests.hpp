// Who wants a reload, and what becomes of it: one at a time, and whoever asks meanwhile gets the answer of the one that follows. A reload
// that has to be confirmed is taken back unless it is. Not here: reading the files (config/read_config), changing the services
// (failover/reload_queue).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <uv.h>

#include "daemon/config/read_config.hpp"
#include "daemon/control/config_in_use.hpp"
#include "daemon/control/long_replies.hpp"
#include "daemon/control/pending_reply.hpp"
#include "daemon/failover/reload.hpp"
#include "daemon/report/event.hpp"
#include "probes/io/uv.hpp"

namespace hanat {

using ConfigPtr = std::shared_ptr<const ReadConfig>;

/// What a reload is made of. Each step calls `done` on the loop when it is over, perhaps at once.
struct ReloadSteps {
  std::function<void(std::function<void(ConfigPtr)> done)> read;
  /// Notes that this one is to be confirmed. `before`: the one that was confirmed last; null: why one cannot go back to it.
  struct Trial {
    ConfigPtr before;
    std::string failure;
  };
  std::function<void(ConfigPtr next, std::function<void(Trial)> done)> begin_trial;
  std::function<void(ConfigPtr next, std::string by, std::function<void(const Reloaded&)> done)> apply;
  /// Copies one that is in use for good, with the failure; empty: none.
  std::function<void(ConfigPtr kept, std::function<void(const std::string& failure)> done)> keep;
  std::function<void(const Event&)> publish;
  std::function<void(bool)> reloading = {}; // one begins, or the last one has ended
};

class ReloadRequests {
public:
  /// `named`: the file that a reload reads; `in_use` is kept up to date.
  ReloadRequests(uv_loop_t* loop, std::string named, std::string operators, ConfigInUse& in_use, ReloadSteps steps);
  ReloadRequests(const ReloadRequests&) = delete;
  ReloadRequests& operator=(const ReloadRequests&) = delete;

  /// `confirm_within`: it is taken back unless confirm() follows. `reply` may be null.
  struct Request {
    std::string by;
    std::optional<std::chrono::milliseconds> confirm_within = {};
    std::shared_ptr<PendingReply> reply = {};
  };
  void add(Request request);
  /// Throws ControlError when there is nothing to confirm.
  std::shared_ptr<PendingReply> confirm(const std::string& by);

private:
  struct Trial {
    ConfigPtr before, next = {};
    std::string file = {}; // of the one before
    std::optional<std::string> fallback = {};
    std::string by = {};
    std::chrono::milliseconds within{};
  };
  enum class Phase : std::uint8_t { idle, preparing, applying }; // nothing has changed while it is prepared
  /// The reload that runs.
  struct Running {
    Phase phase = Phase::idle;
    std::vector<Request> callers = {};
    std::optional<std::chrono::milliseconds> confirm_within = {};
    std::string by = {};
    ConfigPtr next = {};
  };

  void start_next();
  void on_read(ConfigPtr read);
  void on_trial(ReloadSteps::Trial trial);
  void apply();
  void on_applied(const Reloaded& reloaded);
  void await_confirmation(Trial& trial);
  void on_late();
  void accept(const ReadConfig& read);
  void refuse(const Event& refused, const std::vector<std::string>& errors);
  void answer(const Reloaded& reloaded);
  void end();
  void on_deadline();
  void revert();
  void on_reverted();

  std::string named_, operators_; // as configured: there may be no such group
  ConfigInUse& in_use_;
  ReloadSteps steps_;
  std::vector<Request> waiting_;
  Running running_;
  bool revert_due_ = false, reverting_ = false;
  std::function<void()> resume_; // what waits for the end of a revert
  std::optional<Trial> trial_;
  UvHandle<uv_timer_t> late_, deadline_;
  LongReplies replies_;
};

} // namespace hanat
