// A job for the conntrack worker, and what came of it. Data.
// Not here: doing it (conntrack_worker), which flows and when (evictions, conntrack_audit).
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "nat/conntrack/cut.hpp"
#include "nat/conntrack/expected_flows.hpp"

namespace hanat {

/// First the cut, then the clients, then what is only read.
struct CutJob {
  std::vector<Mapping> cut;
  nat::Protocols protocols = nat::Protocols::all; // of the cut
  std::vector<Mapping> cut_unconnected;           // TCP clients who are not connected yet leave their entries
  nat::Clients reconnecting;                      // TCP clients whose old entries are in their way, to notify when these are deleted
  std::set<Mapping> not_nudged;                   // of those
  std::set<Mapping> nudge;                        // TCP clients of these flows to notify, those whose refusal was held included
  std::vector<Mapping> count;
  std::shared_ptr<const nat::ExpectedFlows> expected; // to compare with; null: nothing is compared
};

struct CutResult {
  std::map<Mapping, std::uint64_t> deleted;     // entries that went, by mapping
  std::map<Mapping, std::uint64_t> reconnected; // of them, entries of clients that were reconnecting
  std::map<Mapping, std::uint64_t> nudged;      // clients, by mapping
  std::optional<nat::Flows> counted;            // absent: the kernel gave no complete answer
  std::optional<nat::Flows> unexpected;         // likewise
  std::chrono::microseconds took{};
  std::chrono::microseconds spent{}; // of a processor's time
  bool cancelled = false;
  std::string failure; // empty: done
};

} // namespace hanat
