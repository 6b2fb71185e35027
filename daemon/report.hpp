// The status, gathered from the running services. Not here: its JSON form (status), printing it (cli).
#pragma once

#include <optional>
#include <string>

#include "daemon/gateway.hpp"
#include "daemon/status.hpp"

namespace hanat {

ServiceStatus report(const RunningService& service, Time now);
/// Without the time that is left of its drain.
FlipStatus report(const RunningService& service, const Flip& flip);
/// The same of the flip that a departure belongs to, while that is the last one.
std::optional<FlipStatus> flip_of(const RunningService& service, const Departure& departure);
/// Why hanatd itself could not ask: the reason, with how many questions it holds for where it is not all. nullopt: every last answer tells
/// of a server.
std::optional<std::string> blindness(const Gateway::Services& services);

} // namespace hanat
