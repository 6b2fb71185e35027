// Sends a client of hanatd's own to every service once per period, and has the doctor examine those that do not reply though their probes
// pass. The checks of one period are spread over half of it, so that a thousand services cause no burst.
// Not here: what is wrong (doctor), which services there are (whoever owns them).
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <uv.h>

#include "daemon/doctor/doctor.hpp"
#include "daemon/doctor/finding.hpp"
#include "daemon/doctor/service_check.hpp"
#include "daemon/util/worker_thread.hpp"

namespace hanat {

class PathChecks {
public:
  /// The services as they are now; those that no probe passes are left out by themselves.
  using Services = std::function<std::vector<ServiceCheck>()>;
  /// Called for every service once per period: whether hanatd's own client got its replies, and otherwise what may be the reason. nullopt:
  /// that is not known, since it could not be sent, or too many get none to look at each. Where those that were looked at have causes in
  /// common, these are taken to be those of the others, too.
  using Found = std::function<void(const std::string& service, std::optional<bool> answered, std::vector<Finding> found)>;
  /// Called when checks fail for a reason on hanatd's side; once for each reason, until they work again.
  using Failed = std::function<void(const std::string& why)>;
  PathChecks(uv_loop_t* loop, std::string table, Doctor& doctor, Services services, Found found, Failed failed = {});
  ~PathChecks();
  PathChecks(const PathChecks&) = delete;
  PathChecks& operator=(const PathChecks&) = delete;

  /// nullopt: "clients", nothing is sent at all.
  void set_period(std::optional<Clock::duration> period);

private:
  struct Batch;
  struct Silent;

  void begin_pass();
  void next_batch();
  void on_batch_ended();
  void examine(const std::shared_ptr<Silent>& silent);
  void report(const Diagnosis& diagnosis, const std::vector<std::string>& suspects, Silent& silent);
  void report_rest(Silent& silent);
  void note_failure(const std::string& why);

  std::string table_;
  Doctor& doctor_;
  Services services_;
  Found found_;
  Failed failed_;
  std::string failure_; // the last one that was told; empty: checks work
  std::optional<Clock::duration> period_;
  std::vector<ServiceCheck> pass_; // what is left of it
  Clock::duration spacing_{};
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true); // the doctor may answer after the end
  std::unique_ptr<Batch> batch_;
  std::atomic<bool> cancelled_ = false;
  UvHandle<uv_timer_t> timer_;
  WorkerThread worker_; // last: its jobs use the others
};

} // namespace hanat
