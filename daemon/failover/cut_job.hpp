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
#include "nat/conntrack/recorded_flows.hpp"

namespace hanat {

/// First what is recorded, then the cuts, then the clients, then what is only read. Flows that clients opened come before all others: a
/// dump that finds none of the others takes 20 ms, too. A cut of the others alone comes after the clients.
struct CutJob {
  std::vector<Mapping> record;           // flows as they stand, for `recorded` of a later job
  std::vector<Mapping> record_by_server; // the same of flows that the server opened alone
  std::set<std::shared_ptr<const nat::RecordedFlows>> recorded;
  std::vector<Mapping> cut_recorded; // of `recorded`: entries are deleted, and clients notified then
  std::vector<Mapping> cut;
  nat::Protocols protocols = nat::Protocols::all; // of the cut
  nat::FlowScope scope = nat::FlowScope::all;     // of the cut
  std::vector<Mapping> cut_unconnected; // TCP clients who are not connected yet, or whom the guard cannot reset, leave their entries
  std::vector<Mapping> cut_offloaded;   // the same, and connected ones, too: their packets may bypass the guard
  nat::Clients reconnecting;            // TCP clients whose old entries are in their way, to notify when these are deleted
  std::set<Mapping> not_nudged;         // of those
  std::vector<nat::TcpClient> waiting;  // to notify: their SYN was dropped for the entry of a server that is the target again
  std::set<Mapping> nudge;              // send nudges to TCP clients of these, those whose refusal was held included
  std::vector<Mapping> count;
  std::shared_ptr<const nat::ExpectedFlows> expected; // to compare with; null: nothing is compared
};

struct CutResult {
  std::map<Mapping, nat::Deleted> deleted;            // entries that went, by mapping
  std::map<Mapping, std::uint64_t> reconnected;       // of them, entries of clients that were reconnecting
  std::map<Mapping, std::uint64_t> nudged;            // clients that a nudge was sent to, by mapping
  std::shared_ptr<const nat::RecordedFlows> recorded; // null: the kernel gave no complete answer
  std::optional<nat::Flows> counted;                  // absent: the kernel gave no complete answer
  std::optional<nat::UnexpectedFlows> unexpected;     // likewise
  std::chrono::microseconds took{};
  std::chrono::microseconds spent{}; // of a processor's time
  bool cancelled = false;
  std::string failure; // empty: done
};

} // namespace hanat
