// What an eviction needs next, and the job that does it. Pure. Not here: when jobs run and what follows from them (evictions).
#pragma once

#include <cstdint>

#include "daemon/decision/service_state.hpp"
#include "daemon/failover/cut_job.hpp"

namespace hanat {

/// What an eviction needs next, most urgent first.
enum class Need : std::uint8_t { cut_non_tcp, cut_untranslated, notify, cut, record, cut_recorded, count };
Need need_of(const Eviction& eviction);

bool is_due(const ServiceState& service, const Eviction& eviction, Time now);

/// Adds what the eviction needs to a job for that need.
void add_flows(CutJob& job, Need need, const ServiceState& service, const Eviction& eviction);
/// UDP and SCTP flows that servers opened, and related ones, are cut behind the clients, which they would hold up.
void set_scope(CutJob& job, Need need);

} // namespace hanat
