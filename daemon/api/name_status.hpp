// A server that is configured by its name, as a part of the status. Not here: what DNS says (daemon/names).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace hanat {

struct NameStatus {
  std::string name;                                          // "db1.lan:5432"
  std::string state = "pending";                             // "resolved", "failed": it has no address, and never had one
  std::optional<std::string> answered = {};                  // RFC 3339, UTC: the last good answer; absent: none since hanatd started
  std::vector<std::string> others = {};                      // addresses of that answer that are not in use
  std::optional<std::string> error = {}, failing_since = {}; // of the last query; what is in use stays
  bool operator==(const NameStatus&) const = default;
};

void to_json(nlohmann::json& json, const NameStatus& name);
/// Throws nlohmann::json::exception when a key is missing or has another type.
void from_json(const nlohmann::json& json, NameStatus& name);

} // namespace hanat
