// Key by key.
#include "daemon/api/probe_totals_status.hpp"

#include <nlohmann/json.hpp>

#include "daemon/api/json_text.hpp"

namespace hanat {

void to_json(nlohmann::json& json, const ProbeTotalsStatus& totals) { json = tree_of(totals); }

void from_json(const nlohmann::json& json, ProbeTotalsStatus& totals) { totals = probe_totals_from(json); }

} // namespace hanat
