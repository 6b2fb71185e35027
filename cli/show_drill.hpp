// The report of a drill for people, and as JSON. Pure but for the time zone. Not here: what is in it (drill_report).
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "cli/drill_report.hpp"

namespace hanat::cli {

/// What is not known is said.
std::string show_drill(const DrillReport& report, WallTime now);
nlohmann::json drill_json(const DrillReport& report);

} // namespace hanat::cli
