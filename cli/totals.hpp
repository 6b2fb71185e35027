// Where the services are, all together, as a part of a sentence. Pure. Not here: each of them (notices), alarms (show_check).
#pragma once

#include <string>

#include "daemon/api/status.hpp"

namespace hanat::cli {

/// It counts as being at its primary: there is a place where clients reach it, and the primary has an address.
bool is_at_primary(const ServiceStatus& service);
/// "297 of 300 services at their primary, 1 listens nowhere, 2 only observed"
std::string totals_of(const Status& status);

} // namespace hanat::cli
