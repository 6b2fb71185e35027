// Key by key.
#include "daemon/api/stability_status.hpp"

#include <nlohmann/json.hpp>

#include "daemon/api/rounded.hpp"

namespace hanat {

using nlohmann::json;

void to_json(json& target, const RecoveringStatus& recovering) {
  target = {{"passes", recovering.passes},
            {"of", recovering.of},
            {"for_s", rounded(recovering.for_s)},
            {"stable_for_s", rounded(recovering.stable_for_s)}};
}
void from_json(const json& source, RecoveringStatus& recovering) {
  recovering = {
      .passes = source.at("passes"), .of = source.at("of"), .for_s = source.at("for_s"), .stable_for_s = source.at("stable_for_s")};
}

void to_json(json& target, const FlappingStatus& flapping) {
  target = {{"times", flapping.times}, {"wait_s", rounded(flapping.wait_s)}, {"forgiven_in_s", rounded(flapping.forgiven_in_s)}};
}
void from_json(const json& source, FlappingStatus& flapping) {
  flapping = {.times = source.at("times"), .wait_s = source.at("wait_s"), .forgiven_in_s = source.at("forgiven_in_s")};
}

void to_json(json& target, const WarningStatus& warning) { target = {{"reason", warning.reason}, {"detail", warning.detail}}; }
void from_json(const json& source, WarningStatus& warning) { warning = {.reason = source.at("reason"), .detail = source.at("detail")}; }

void to_json(json& target, const OutageStatus& outage) {
  target = {{"state", outage.state},
            {"for_s", rounded(outage.for_s)},
            {"ends_in_s", outage.ends_in_s ? json(rounded(*outage.ends_in_s)) : json(nullptr)},
            {"new_refused", outage.new_refused}};
}
void from_json(const json& source, OutageStatus& outage) {
  outage = {.state = source.at("state"), .for_s = source.at("for_s"), .ends_in_s = {}, .new_refused = source.at("new_refused")};
  if (const auto& ends = source.at("ends_in_s"); !ends.is_null()) outage.ends_in_s = ends.get<double>();
}

void to_json(json& target, const WitnessStatus& witness) {
  target = {{"address", witness.address}, {"answers", witness.answers ? json(*witness.answers) : json(nullptr)}};
}
void from_json(const json& source, WitnessStatus& witness) {
  witness = {.address = source.at("address"), .answers = {}};
  if (const auto& answers = source.at("answers"); !answers.is_null()) witness.answers = answers.get<bool>();
}

} // namespace hanat
