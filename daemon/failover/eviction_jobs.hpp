// What an eviction needs next, and the job that does it. Pure. Not here: when jobs run and what follows from them (evictions).
#pragma once

#include <cstdint>
#include <optional>
#include <set>

#include "daemon/decision/service_state.hpp"
#include "daemon/failover/cut_job.hpp"

namespace hanat {

/// What an eviction needs next, most urgent first.
enum class Need : std::uint8_t { cut_non_tcp, cut_untranslated, notify, cut, record, cut_recorded, count };
Need need_of(const Eviction& eviction);

/// Nothing is due while the kernel has not answered a change of the service: what leaves may be its target by then.
bool is_due(const ServiceState& service, const Eviction& eviction, Time now);

/// Only a cut that comes before the job under way: else the two would give way to each other for ever.
bool is_cut_due(const std::set<ServiceState*>& services, Need before, Time now);
/// nullopt: nothing is due.
std::optional<Need> most_urgent(const std::set<ServiceState*>& services, Time now);

/// Clients of it connect again.
bool is_urgent(const CutJob& job);
/// Whether one of the job's clients that connect again leaves a server by this eviction.
bool has_reconnecting(const CutJob& job, const Eviction& eviction);
/// Takes the clients that connect again into a job. Those stay behind whose service waits for the kernel; whose server is no longer on its
/// way out, is forgotten.
CutJob take_reconnecting(CutJob& from, const std::set<ServiceState*>& services);

/// Adds what the eviction needs to a job for that need.
void add_flows(CutJob& job, Need need, const ServiceState& service, const Eviction& eviction);
/// UDP and SCTP flows that servers opened, and related ones, are cut behind the clients, which they would hold up.
void set_scope(CutJob& job, Need need);
/// What the table holds, and where the traffic goes, does not depend on how far it is: ten thousand at once need not be decided anew.
bool is_apart(const ServiceState& service, const Eviction& eviction);
/// The clients of these flows that a job has notified.
void count_notified(ServiceState& service, const Eviction& eviction, const CutResult& result);

} // namespace hanat
