// Flows on their way out of an old target, and the flip that caused it. Data.
// Not here: which flows leave (desired_state), deleting them (failover/evictions).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/decision/decision.hpp"
#include "daemon/util/wall_time.hpp"
#include "nat/conntrack/cut.hpp"

namespace hanat {

/// The stages of every eviction, in this order: entries of UDP and SCTP are deleted at once; TCP clients are notified, and behind them go
/// entries of UDP and SCTP that servers opened; TCP entries are deleted after their clients had time to be reset by the guard; sweeps
/// follow until one finds nothing.
enum class CutStage : std::uint8_t { cut_non_tcp, notify_clients, cut_tcp, sweep };

/// Flows that may stay a while at their server (policy "drain" or "keep"): no stale keys, no cut. At its end they become an eviction of the
/// usual kind.
struct Drain {
  std::optional<Time> until = {};          // rules while hanatd runs; nullopt: kept
  std::optional<WallTime> until_wall = {}; // the same over a restart
  Time since{};
  bool notified = false;                  // clients without a connection know of the new target
  std::optional<std::uint64_t> left = {}; // flows, when they were counted last
  std::uint64_t most = 0;                 // the highest count
  std::uint64_t drained() const { return most - left.value_or(most); }
};

/// Why a drain ended while there were flows left, or may have been.
enum class DrainEnd : std::uint8_t {
  time,
  silent,    // the server answers nothing
  dead,      // UDP and SCTP of a server that is down
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
  CutStage stage = CutStage::cut_non_tcp;
  Time due{};
  Clock::duration
      notify_after{};  // from the end of cut_non_tcp; where the old server is alive, a move that is undone at once disturbs nobody
  bool in_job = false; // the worker is on it right now
  unsigned sweeps = 0;
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
  std::uint64_t nudged = 0;  // clients
  std::uint64_t drained = 0; // flows that ended by themselves in drains that are over
  std::chrono::microseconds cut_time{};
  bool cutting = false; // some of its evictions are unfinished
};

} // namespace hanat
