// Observations to JSON and back.
#include "daemon/api/health_change.hpp"

#include <nlohmann/json.hpp>

#include "daemon/api/rounded.hpp"

namespace hanat {

void to_json(nlohmann::json& target, const ObservationStatus& observation) {
  target = {{"at", observation.at}, {"kind", observation.kind}, {"server", observation.server}, {"reason", observation.reason}};
  if (!observation.detail.empty()) target["detail"] = observation.detail;
  if (observation.kind == "event") return;
  target["probe"] = observation.probe;
  target["latency_ms"] = rounded(observation.latency_ms);
  target["count"] = observation.count;
  target["of"] = observation.of;
  if (!observation.wanted.empty()) target["wanted"] = observation.wanted;
}

void from_json(const nlohmann::json& source, ObservationStatus& observation) {
  observation = {.at = source.at("at"),
                 .kind = source.at("kind"),
                 .server = source.at("server"),
                 .probe = source.value("probe", ""),
                 .reason = source.at("reason"),
                 .detail = source.value("detail", ""),
                 .wanted = source.value("wanted", ""),
                 .latency_ms = source.value("latency_ms", 0.0),
                 .count = source.value("count", std::uint64_t{0}),
                 .of = source.value("of", std::uint64_t{0})};
}

void to_json(nlohmann::json& target, const HealthChangeStatus& change) {
  target = {{"server", change.server}, {"address", change.address},   {"health", change.health},
            {"of", change.of},         {"within_s", change.within_s}, {"observations", change.observations}};
}

void from_json(const nlohmann::json& source, HealthChangeStatus& change) {
  change = {.server = source.at("server"),
            .address = source.at("address"),
            .health = source.at("health"),
            .of = source.at("of"),
            .within_s = source.at("within_s"),
            .observations = source.at("observations").get<std::vector<ObservationStatus>>()};
}

} // namespace hanat
