// One list that is read while it comes.
#include "daemon/api/status_call.hpp"

#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "daemon/api/client.hpp"
#include "daemon/api/service_reader.hpp"

namespace hanat {

Status call_status(const std::string& socket_path, const nlohmann::json& parameters, std::chrono::milliseconds deadline, int cancel) {
  std::vector<ServiceStatus> services;
  ServiceReader reader;
  const auto add = [&](std::string_view service) { services.push_back(reader.read(service)); };
  auto status = call_list(socket_path, "Status", parameters, "services", add, deadline, cancel).at("status").get<Status>();
  status.services = std::move(services);
  return status;
}

} // namespace hanat
