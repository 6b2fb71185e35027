// The status, gathered from the running services. Not here: its JSON form (status), printing it (cli).
#pragma once

#include <optional>
#include <string>

#include "daemon/api/status.hpp"
#include "daemon/decision/service_state.hpp"
#include "daemon/doctor/finding.hpp"
#include "daemon/pair/program_monitor.hpp"
#include "daemon/pair/role.hpp"

namespace hanat {

ServiceStatus report(const ServiceState& service, Time now);
FindingStatus report(const Finding& finding);
PairStatus report(const RoleMachine& machine, const PairConfig& pair, const PairPrograms& programs);
/// Without the time that is left of its drain.
FlipStatus report(const ServiceState& service, const Flip& flip);
/// The same of the flip that an eviction belongs to, if its flows are still on their way out or it is the last one.
std::optional<FlipStatus> flip_of(const ServiceState& service, const Eviction& eviction);
/// Why hanatd itself could not ask: the reason, with how many questions it holds for where it is not all. nullopt: every last answer tells
/// of a server.
std::optional<std::string> inconclusive_reason(const Services& services);

} // namespace hanat
