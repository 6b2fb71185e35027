// The doctor's part of the control socket: a service as it is to be examined, and a diagnosis as JSON. Pure.
// Not here: examining (doctor), the reply (handlers).
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "daemon/decision/path_evidence.hpp"
#include "daemon/decision/service_state.hpp"
#include "daemon/doctor/doctor.hpp"
#include "daemon/doctor/service_check.hpp"
#include "daemon/failover/client_evidence.hpp"

namespace hanat {

/// With the server that the kernel sends its flows to.
ServiceCheck check_of(const ServiceState& service);
std::vector<OtherServer> others_of(const ServiceState& service);

/// What it says of one service, as evidence beside that of its clients; and the findings that may be the cause of their trouble.
Examined examined_in(const Diagnosis& diagnosis, const std::string& service, const Address& client);
std::vector<Finding> causes_in(const std::vector<Finding>& found, const std::string& service);

/// The reply of Doctor. `clients`: what stopped single clients lately, which says nothing about others: it stands apart.
nlohmann::json diagnosis_json(const Diagnosis& diagnosis, const std::vector<ClientEvidence::OfClient>& clients);

} // namespace hanat
