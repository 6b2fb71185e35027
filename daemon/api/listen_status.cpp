// Key by key.
#include "daemon/api/listen_status.hpp"

#include <nlohmann/json.hpp>

namespace hanat {

void to_json(nlohmann::json& json, const ListenStatus& listener) {
  json = {{"listen", listener.listen}, {"interface", listener.interface}, {"addresses", listener.addresses}};
  if (!listener.problems.empty()) json["problems"] = listener.problems;
}

void from_json(const nlohmann::json& json, ListenStatus& listener) {
  listener = {.listen = json.at("listen"),
              .interface = json.at("interface"),
              .addresses = json.at("addresses").get<std::vector<std::string>>(),
              .problems = json.value("problems", std::vector<std::string>{})};
}

} // namespace hanat
