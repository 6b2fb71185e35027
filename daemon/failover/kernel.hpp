// What the classes of this folder need of the kernel, as interfaces: the real ones stand in real_kernel, the fakes of the unit tests in
// tests/unit/daemon/failover. Not here: what is done with them.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <span>

#include "daemon/failover/cut_job.hpp"
#include "nat/clock.hpp"
#include "nat/nftables/table.hpp"
#include "probes/passive/route_monitor.hpp"
#include "probes/scheduling/scheduler.hpp"

namespace hanat {

/// hanat's table of nf_tables. Everything but changed_by_others() and the is_ and has_ functions throws std::exception when the kernel
/// refuses.
class Table {
public:
  virtual ~Table() = default;
  virtual std::optional<nat::Loaded> read() = 0;
  virtual void adopt(const nat::TableState& loaded) = 0;
  virtual void load(const nat::TableState& state) = 0;
  /// `settling`: the switch of that name in the same transaction; nullopt: it stays.
  virtual void change(std::span<const nat::Step> steps, std::optional<bool> settling) = 0;
  virtual void set_endpoints(nat::SetKind kind, const nat::EndpointMap& intended) = 0;
  virtual void heartbeat() = 0;
  virtual void set_notrack(bool on) = 0;
  virtual bool is_notrack_set() const = 0;
  /// Throws nat::NoFlowtables where the kernel has none.
  virtual void set_flowtable(const std::optional<nat::Devices>& devices) = 0;
  virtual bool has_flowtable() const = 0;
  /// What the rules have to be for: see nat::NftTable.
  virtual void set_probe_ports(const nat::ProbePorts& ports) = 0;
  /// Reads what the kernel told of commits: true when somebody else touched the table, or messages were lost.
  virtual bool changed_by_others() = 0;
  virtual bool missed_a_commit() = 0;
  virtual bool is_owned() const = 0; // nobody else can change it
  virtual void remove() = 0;
};

/// Renews the heartbeat of hanat's table without a transaction.
class HeartbeatSender {
public:
  virtual ~HeartbeatSender() = default;
  /// Throws std::exception when that did not work.
  virtual void send() = 0;
};

/// Makes transactions beside the loop, one at a time.
class CommitThread {
public:
  virtual ~CommitThread() = default;
  virtual bool busy() const = 0;
  /// True: the job is done. False: it takes longer than `wait`; when it is done it is joined and TableSync::finish_commit() is called.
  virtual bool run(std::function<void()> job, Clock::duration wait) = 0;
  /// Waits for the job's end.
  virtual void join() = 0;
};

/// Deletes, counts and notifies beside the loop, one job at a time; Evictions::on_job_done() is called after each.
class FlowWorker {
public:
  virtual ~FlowWorker() = default;
  virtual bool busy() const = 0;
  virtual void start(CutJob job) = 0;
  virtual void cancel() = 0; // the job ends early
};

/// Sends probes: see probes::Scheduler.
class ProbeScheduler {
public:
  virtual ~ProbeScheduler() = default;
  virtual probes::ProbeId add(const probes::Probe& probe, probes::Rate rate, Clock::duration first_within) = 0;
  virtual const probes::Probe& probe(probes::ProbeId id) const = 0;
  virtual void remove(probes::ProbeId id) = 0;
  virtual void set_rate(probes::ProbeId id, probes::Rate rate) = 0;
  virtual void trigger(probes::ProbeId id) = 0;
};

/// Whether this machine has a path to a server, known without a packet: see probes::RouteMonitor.
class PathMonitor {
public:
  virtual ~PathMonitor() = default;
  virtual void add(const probes::Path& path) = 0;
  virtual void remove(const probes::Path& path) = 0;
  virtual std::optional<probes::ProbeResult> unreachable(const probes::Path& path) = 0;
  virtual bool is_cut_off() = 0;
};

/// Whether this machine has an address: see AddressMonitor.
class AddressWatch {
public:
  virtual ~AddressWatch() = default;
  /// The address to watch; nullopt: none. Throws std::system_error.
  virtual void watch(const std::optional<Address>& address) = 0;
  /// Reads what the kernel has told until now. False: it is not here, or none is watched.
  virtual bool is_here() = 0;
};

} // namespace hanat
