// Runs one job on flows at a time on a thread of libuv's pool, so that a long one never holds up a decision: deleting conntrack entries,
// notifying clients, counting. Not here: which flows, and when (evictions, conntrack_audit).
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <uv.h>

#include "daemon/failover/kernel.hpp"
#include "nat/conntrack/cut.hpp"
#include "nat/nftables/held_clients.hpp"
#include "nat/nudge.hpp"

namespace hanat {

/// What it takes to notify clients.
struct ClientNotifier {
  nat::Nudger nudger;
  nat::HeldClientReader held;
};

class ConntrackWorker final : public FlowWorker {
public:
  using Done = std::function<void(const CutResult&)>;
  /// `done` is called on the loop after every job. Without a notifier no client is nudged.
  ConntrackWorker(uv_loop_t* loop, nat::Cutter cutter, std::optional<ClientNotifier> notifier, Done done);
  ~ConntrackWorker() override; // ends a running job, and runs the loop until it has
  ConntrackWorker(const ConntrackWorker&) = delete;
  ConntrackWorker& operator=(const ConntrackWorker&) = delete;

  bool busy() const override { return busy_; }
  void start(CutJob job) override;
  /// The running job ends early; done() still comes.
  void cancel() override { cancelled_ = true; }

private:
  void work();
  nat::OnDeleted count_deleted();
  void record();
  void cut_recorded();
  void cut();
  void cut_reconnecting();
  void cut_unconnected(nat::FlowScope scope);
  void nudge_held();
  void nudge(const nat::TcpClients& clients);
  void nudge(std::span<const nat::TcpClient> clients, nat::Segment segment);
  void send(std::span<const nat::TcpClient> clients);

  uv_loop_t* loop_;
  nat::Cutter cutter_;
  std::optional<ClientNotifier> notifier_;
  Done done_;
  uv_work_t request_{};
  CutJob job_;
  std::atomic<bool> cancelled_ = false;
  bool busy_ = false;
  CutResult result_;
};

} // namespace hanat
