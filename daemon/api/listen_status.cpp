// Key by key.
#include "daemon/api/listen_status.hpp"

#include <nlohmann/json.hpp>

#include "daemon/api/rounded.hpp"

namespace hanat {

void to_json(nlohmann::json& json, const ListenStatus& listener) {
  json = {{"listen", listener.listen}, {"interface", listener.interface}, {"addresses", listener.addresses}};
  if (!listener.problems.empty()) json["problems"] = listener.problems;
  for (const HeldAddress& held : listener.held) json["held"].push_back({{"address", held.address}, {"left_s", rounded(held.left_s)}});
}

void from_json(const nlohmann::json& json, ListenStatus& listener) {
  listener = {.listen = json.at("listen"),
              .interface = json.at("interface"),
              .addresses = json.at("addresses").get<std::vector<std::string>>(),
              .problems = json.value("problems", std::vector<std::string>{})};
  for (const nlohmann::json& held : json.value("held", nlohmann::json::array()))
    listener.held.push_back({.address = held.at("address"), .left_s = held.at("left_s")});
}

} // namespace hanat
