// Runs one job on old flows at a time on a thread of libuv's pool, so that a long one never holds up a decision: a conntrack cut, telling
// clients, counting. Not here: which flows, and when (gateway).
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

#include "nat/cut.hpp"
#include "nat/held.hpp"
#include "nat/nudge.hpp"

namespace hanat {

/// What it takes to tell clients.
struct Telling {
  nat::Nudger nudger;
  nat::HeldReader held;
};

/// First the cut, then the clients, then what is only read.
struct CutJob {
  std::vector<Mapping> cut;
  nat::Streams streams = nat::Streams::all; // of the cut
  std::vector<Mapping> release;             // TCP clients who are not connected yet leave their entries
  std::set<Mapping> nudge;                  // of those, of the connected ones beside them, and of those whose refusal was held
  std::vector<Mapping> count;
  std::shared_ptr<const nat::Ledger> ledger; // to compare with; null: nothing is compared
};

struct CutResult {
  std::map<Mapping, std::uint64_t> deleted; // entries that went, by mapping
  std::map<Mapping, std::uint64_t> nudged;  // clients, by mapping
  std::optional<nat::Flows> counted;        // absent: the kernel gave no complete answer
  std::optional<nat::Flows> strays;         // likewise
  std::chrono::microseconds took{};
  std::chrono::microseconds spent{}; // of a processor's time
  bool cancelled = false;
  std::string failure; // empty: done
};

class CutWorker {
public:
  using Done = std::function<void(const CutResult&)>;
  /// `done` is called on the loop after every job. Without `telling` nobody is nudged.
  CutWorker(uv_loop_t* loop, nat::Cutter cutter, std::optional<Telling> telling, Done done);
  ~CutWorker(); // ends a running job, and runs the loop until it has
  CutWorker(const CutWorker&) = delete;
  CutWorker& operator=(const CutWorker&) = delete;

  bool busy() const { return busy_; }
  void start(CutJob job);
  /// The running job ends early; done() still comes.
  void cancel() { cancelled_ = true; }

private:
  void work();
  void release();
  void nudge_held();
  void nudge(std::span<const nat::TcpClient> clients);

  uv_loop_t* loop_;
  nat::Cutter cutter_;
  std::optional<Telling> telling_;
  Done done_;
  uv_work_t request_{};
  CutJob job_;
  std::atomic<bool> cancelled_ = false;
  bool busy_ = false;
  CutResult result_;
};

} // namespace hanat
