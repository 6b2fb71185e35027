// Flows on their way out of an old target, stage by stage (decision/eviction: CutStage), one job at a time on the conntrack worker; and
// flows that may stay a while (drains.cpp). Not here: which flows leave (desired_state), deleting entries and notifying clients
// (conntrack_worker), flows that nobody expects (conntrack_audit).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "daemon/failover/change.hpp"
#include "daemon/failover/eviction_jobs.hpp"
#include "daemon/failover/kernel.hpp"
#include "daemon/failover/outbox.hpp"
#include "daemon/failover/service_registry.hpp"
#include "daemon/state/state_file.hpp"

namespace hanat {

/// The flows of `others` are no longer among the mappings.
void subtract(std::vector<Mapping>& mappings, std::span<const Mapping> others);

class Evictions {
public:
  Evictions(FlowWorker& worker, ServiceRegistry& registry, Outbox& outbox) : worker_(worker), registry_(registry), outbox_(outbox) {}

  /// A change has been made in the table: mappings that are targets again leave their evictions, and new evictions begin. `flipped`: they
  /// are of the service's last flip.
  void start(Change& change, bool flipped, Time now);
  /// Adds one to the service, due at `eviction.due`. One that a job is working on goes on as this service's.
  void add(ServiceState& service, Eviction eviction);
  /// Evictions of an endpoint that is another service's now. A job that works on them goes on; what follows belongs to `to`.
  void transfer(ServiceState& from, ServiceState& to, const Vip& vip, Time now);
  /// Drops what has no flows left, and closes flips of which nothing is left.
  void drop_empty(ServiceState& service);
  /// Whether a server becomes target again while the worker still deletes its old flows, or an endpoint of theirs is given up: new flows,
  /// of the server or of whoever has the endpoint next, would be deleted with them. The job is ended, and only this change waits for that.
  bool delays(const ServiceState& service, const Plan& plan);
  /// Clients whose refusal was held without need are notified.
  void notify_held(ServiceState& service);

  /// A client was reset, and connects again from the same port: its old entry leaves at once, and the client is nudged.
  void on_reconnect(const Vip& vip, const Endpoint& client);

  /// Gives the worker the most urgent job that is due.
  void run(Time now);
  void on_job_done(const CutResult& result, Time now);
  /// For a job that only reads: the worker has nothing else to do.
  bool is_idle(Time now) const { return !worker_.busy() && (!retry_at_ || *retry_at_ <= now); }
  /// Such a job. It gives way to a cut; `done` is called in any case.
  void run_idle(CutJob job, std::function<void(const CutResult&, Time)> done);
  /// Ends the job under way.
  void cancel() { worker_.cancel(); }
  std::optional<Time> next_wakeup() const { return retry_at_; }

  /// A standby of a pair touches no flow: what is to be cut is let be, nobody is notified, and drains are only counted.
  void set_silent(bool on);
  bool is_silent() const { return silent_; }

  /// Drains over a restart.
  std::vector<SavedDrain> saved_drains() const;
  void restore(const std::vector<SavedDrain>& drains, Time now);

private:
  void cancel_returning(ServiceState& service, const Plan& plan, Time now);
  void advance(ServiceState& service, Eviction& eviction, const CutResult& result, bool same, Time now);
  void advance_drain(ServiceState& service, Eviction& eviction, const CutResult& result, bool same, Time now);
  void finish(ServiceState& service, std::uint64_t id);

  FlowWorker& worker_;
  ServiceRegistry& registry_;
  Outbox& outbox_;

  struct JobPart {
    ServiceState* service;         // it stays: an eviction that is in a job is never erased
    std::uint64_t eviction;        // id
    std::vector<Mapping> mappings; // that the job was given; empty: a part of those of another
    bool stage = true;             // the job does what the stage needs, not only clients that connect again
  };
  struct Job { // that the worker is on
    std::vector<JobPart> parts;
    Need need = Need::count;
    std::function<void(const CutResult&, Time)> idle_done = {};
    Time looked_for{}; // when it was looked for what is due
  };
  Job job_;
  std::optional<Time> retry_at_;        // of a cut that the kernel refused
  struct Clients {                      // part of the next job
    std::set<std::string> falsely_held; // services whose clients were refused by a target that is up after all
    CutJob reconnecting;
  };
  Clients clients_;
  std::uint64_t next_id_ = 0;
  bool silent_ = false;
};

} // namespace hanat
