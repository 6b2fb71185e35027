// Flows on their way out of an old target, and the flip that caused it. Data.
// Not here: which flows leave (desired_state), deleting them (failover/evictions).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/decision/decision.hpp"
#include "daemon/util/wall_time.hpp"
#include "nat/conntrack/cut.hpp"

namespace hanat {

/// The stages of every eviction, in this order: entries of UDP and SCTP are deleted at once; TCP clients are notified, and behind them go
/// entries of UDP and SCTP that servers opened; TCP entries are deleted after their clients had time to be reset by the guard; sweeps
/// follow until one finds nothing, or flows come back each time.
/// Where only the flows that stand may go, `exact`: they are recorded; the endpoint is given up; their entries are deleted, and TCP clients
/// notified.
enum class CutStage : std::uint8_t { cut_non_tcp, notify_clients, cut_tcp, sweep, record, cut_recorded };

/// Flows that may stay a while at their server (policy "drain" or "keep"): no stale keys, no cut. At its end they become an eviction of the
/// usual kind.
struct Drain {
  std::optional<Time> until = {};          // rules while hanatd runs; nullopt: kept
  std::optional<WallTime> until_wall = {}; // the same over a restart
  Time since{};
  bool until_down = false;                // kept because the server was only full: as long as it is not down
  bool notified = false;                  // clients without a connection know of the new target
  std::optional<std::uint64_t> left = {}; // flows, when they were counted last
  std::uint64_t most = 0;                 // the highest count
  std::uint64_t drained() const { return most - left.value_or(most); }
};

/// Why a drain ended while there were flows left, or may have been.
enum class DrainEnd : std::uint8_t {
  time,
  silent,    // the server does not answer in time
  dead,      // the server is down: UDP and SCTP, and what was kept while it was only full
  no_target, // no server is up, and clients are refused
  given_up,  // the endpoint is no longer the service's
};

struct Eviction {
  std::uint64_t id = 0; // for the job that works on it
  std::vector<Mapping> mappings;
  std::string comment;                    // of its stale keys: service and server
  std::optional<Drain> drain = {};        // as long as the flows stay
  std::optional<DrainEnd> drain_end = {}; // of flows that were draining before
  bool untranslated = false;              // entries that were made before the rules: they belong to no server, and are not counted
  bool exact = false;     // only flows that stand when it begins: no stale keys, no sweeps; what comes later may be somebody else's
  bool given_up = false;  // exact, of an endpoint that the service listens on no more: once recorded, it leaves the table, and then they go
  bool by_server = false; // exact, and only flows that the server opened
  CutStage stage = CutStage::cut_non_tcp;
  Time due{};
  Clock::duration
      notify_after{};  // from the end of cut_non_tcp; where the old server is alive, a move that is undone at once disturbs nobody
  bool in_job = false; // the worker is on it right now
  std::shared_ptr<const nat::RecordedFlows> recorded = {}; // of cut_recorded; shared with other evictions of the same job
  unsigned sweeps = 0, sweeps_that_found = 0;
  std::uint64_t left = 0; // flows that the last sweep deleted; at the end of the eviction: they come back
  std::uint64_t flip = 0; // number of the flip that caused it; 0: none
  nat::CutCount cut = {};
  std::uint64_t busy = 0; // entries that the last job could not delete: a flowtable has them
};

struct Flip {
  std::uint64_t number = 0; // from 1, counted by service since hanatd started
  WallTime at{};
  std::string from, to;
  Reason reason = Reason::starting;
  std::chrono::microseconds commit{};
  nat::CutCount cut;
  std::uint64_t nudged = 0;  // clients that nudges were sent to
  std::uint64_t drained = 0; // flows that ended by themselves in drains that are over
  std::chrono::microseconds cut_time{};
  bool cutting = false; // some of its evictions are unfinished
};

} // namespace hanat
