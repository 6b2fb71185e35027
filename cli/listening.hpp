// What a service listens on, as a text, and what is to be said where it is an interface. Not here: other notices (notices).
#pragma once

#include <string>
#include <vector>

#include "cli/notices.hpp"
#include "daemon/api/status.hpp"

namespace hanat::cli {

/// "203.0.113.10:443/tcp, eth0:443/tcp (198.51.100.7)"
std::string listening_on(const ServiceStatus& service);
/// None of its interfaces has an address, and nothing else is configured.
bool listens_nowhere(const ServiceStatus& service);
void add_listen_notices(const ServiceStatus& service, std::vector<Notice>& notices);

} // namespace hanat::cli
