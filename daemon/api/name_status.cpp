// Key by key.
#include "daemon/api/name_status.hpp"

#include <nlohmann/json.hpp>

namespace hanat {
namespace {

std::optional<std::string> optional_text(const nlohmann::json& from, const char* key) {
  const auto found = from.find(key);
  return found == from.end() || found->is_null() ? std::nullopt : std::optional{found->get<std::string>()};
}

} // namespace

void to_json(nlohmann::json& json, const NameStatus& name) {
  json = {{"name", name.name}, {"state", name.state}};
  if (name.answered) json["answered"] = *name.answered;
  if (!name.others.empty()) json["others"] = name.others;
  if (name.error) json["error"] = *name.error;
  if (name.failing_since) json["failing_since"] = *name.failing_since;
}

void from_json(const nlohmann::json& json, NameStatus& name) {
  name = {.name = json.at("name"),
          .state = json.at("state"),
          .answered = optional_text(json, "answered"),
          .others = json.contains("others") ? json.at("others").get<std::vector<std::string>>() : std::vector<std::string>{},
          .error = optional_text(json, "error"),
          .failing_since = optional_text(json, "failing_since")};
}

} // namespace hanat
