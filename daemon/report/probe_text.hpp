// A probe in words: which one it is, and what it wanted when its result was a fail. Pure.
// Not here: what came back (probes/result), the sentences around (event_text).
#pragma once

#include <string>

#include "probes/result.hpp"

namespace hanat {

/// "http 10.0.0.11:8443 GET /health": which of several.
std::string name_of(const probes::Probe& probe);

/// What would have passed where another answer came: "status 200-299", "body with \"ok\"". Empty: the reason says it already.
std::string wanted_by(const probes::ProbeSpec& spec, probes::Reason reason);

} // namespace hanat
