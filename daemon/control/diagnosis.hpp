// The doctor's part of the control socket: a service as it is to be examined, and a diagnosis as JSON. Pure.
// Not here: examining (doctor), the reply (handlers).
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "daemon/decision/service_state.hpp"
#include "daemon/doctor/doctor.hpp"
#include "daemon/doctor/service_check.hpp"

namespace hanat {

/// With the server that the kernel sends its flows to.
ServiceCheck check_of(const ServiceState& service);

/// The reply of Doctor.
nlohmann::json diagnosis_json(const Diagnosis& diagnosis);

} // namespace hanat
