// One list that is read while it comes.
#include "daemon/api/status_call.hpp"

#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "daemon/api/client.hpp"

namespace hanat {

Status call_status(const std::string& socket_path, const nlohmann::json& parameters, std::chrono::milliseconds deadline, int cancel) {
  std::vector<ServiceStatus> services;
  const auto add = [&services](const nlohmann::json& service) { services.push_back(service.get<ServiceStatus>()); };
  auto status = call_list(socket_path, "Status", parameters, "services", add, deadline, cancel).at("status").get<Status>();
  status.services = std::move(services);
  return status;
}

} // namespace hanat
