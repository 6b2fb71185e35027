// An answer to JSON and back.
#include "daemon/api/probe_answer.hpp"

#include <nlohmann/json.hpp>

#include "daemon/api/rounded.hpp"

namespace hanat {

void to_json(nlohmann::json& target, const ProbeAnswer& answer) {
  target = {{"service", answer.service}, {"role", answer.role},     {"probe", answer.probe},
            {"outcome", answer.outcome}, {"reason", answer.reason}, {"latency_ms", rounded(answer.latency_ms)}};
  if (!answer.detail.empty()) target["detail"] = answer.detail;
  if (!answer.wanted.empty()) target["wanted"] = answer.wanted;
  if (!answer.explanation.empty()) target["explanation"] = answer.explanation;
}

void from_json(const nlohmann::json& source, ProbeAnswer& answer) {
  answer = {.service = source.at("service"),
            .role = source.at("role"),
            .probe = source.at("probe"),
            .outcome = source.at("outcome"),
            .reason = source.at("reason"),
            .detail = source.value("detail", ""),
            .wanted = source.value("wanted", ""),
            .explanation = source.value("explanation", ""),
            .latency_ms = source.at("latency_ms")};
}

} // namespace hanat
