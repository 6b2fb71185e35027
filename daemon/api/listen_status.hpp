// A listener of a service that is an interface, as a part of the status. Not here: which addresses it has (daemon/interfaces).
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace hanat {

/// The interface has lost it; the service listens on until the time is over, because it may come back.
struct HeldAddress {
  std::string address;
  double left_s = 0;
  bool operator==(const HeldAddress&) const = default;
};
struct ListenStatus {
  std::string listen, interface;          // "eth0:443/tcp", "eth0"
  std::vector<std::string> addresses;     // that the service listens on now, with those that are held
  std::vector<std::string> problems = {}; // "eth0 has no IPv4 address"
  std::vector<HeldAddress> held = {};
  bool operator==(const ListenStatus&) const = default;
};

void to_json(nlohmann::json& json, const ListenStatus& listener);
/// Throws nlohmann::json::exception when a key is missing or has another type.
void from_json(const nlohmann::json& json, ListenStatus& listener);

} // namespace hanat
