// The connections of a service by server and state, and whether a server may be unplugged, for people. Pure but for the time zone. Not
// here: counting them (daemon).
#pragma once

#include <string>

#include "cli/view.hpp"
#include "daemon/api/connections.hpp"

namespace hanat::cli {

/// "primary: 0 connections, gets no new ones: may be unplugged"
std::string show_unplugging(const ConnectionsReport& report, const ConnectionServer& server);
std::string show_connections(const ConnectionsReport& report, const View& view);

} // namespace hanat::cli
