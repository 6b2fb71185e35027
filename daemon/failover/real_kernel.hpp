// The kernel as it is, for Controller: hanat's table and its heartbeat, the thread that commits to it, the probes, the paths to servers,
// the worker on conntrack, and the hooks of the loop. Forwards calls, decides nothing. Not here: the interfaces (kernel), what is done with
// them.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include <uv.h>

#include "daemon/failover/client_samples.hpp"
#include "daemon/failover/conntrack_worker.hpp"
#include "daemon/failover/kernel.hpp"
#include "daemon/failover/repeated_syns.hpp"
#include "daemon/util/worker_thread.hpp"
#include "nat/nftables/heartbeat_socket.hpp"
#include "probes/io/uv.hpp"
#include "probes/passive/kernel_events.hpp"

namespace hanat {

/// What comes from outside; each is called on the loop.
struct KernelCallbacks {
  std::function<void()> turn;         // after the events of a turn of the loop
  std::function<void()> timer_due;    // see wake_at(); turn() follows
  std::function<void()> commit_made;  // somebody committed to nf_tables
  std::function<void()> commit_ended; // our own, which took longer than was waited for
  std::function<void(const CutResult&)> job_done;
  std::function<void(probes::ProbeId, const probes::ProbeResult&)> probe_result;
  std::function<std::optional<probes::ProbeResult>(const probes::Probe&)> precheck;
  std::function<void(const probes::KernelEvent&)> event;
  std::function<void()> address_changed = {}; // the one that is watched has come or gone
};

class RealKernel {
public:
  RealKernel(uv_loop_t* loop, nat::NftTable table, nat::HeartbeatSocket heartbeat, nat::Cutter cutter,
             std::optional<ClientNotifier> notifier, KernelCallbacks callbacks);
  ~RealKernel();
  RealKernel(const RealKernel&) = delete;
  RealKernel& operator=(const RealKernel&) = delete;

  Table& table();
  HeartbeatSender& heartbeats();
  CommitThread& commits();
  FlowWorker& flows();
  ProbeScheduler& probes();
  PathMonitor& paths();
  AddressWatch& addresses();
  /// Why refused clients are not heard; nullopt: they are.
  const std::optional<std::string>& nflog_failure() const;

  /// Whether commit_made is called.
  void watch_commits(bool on);
  /// The next turn at this moment, or before.
  void wake_at(Time moment, Time now);
  /// Behind what the sockets have for this turn: there is more to do, and nothing to wait for.
  void wake_next_turn();
  /// No callback comes any more but job_done.
  void stop();

private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

} // namespace hanat
