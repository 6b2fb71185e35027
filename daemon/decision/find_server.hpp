// Which server of a configuration is this one, by its name or its addresses? What an operator decided about a server follows it so. Not
// here: what follows (failover: maintenance, overrides; pair).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "daemon/config/config.hpp"
#include "daemon/decision/service_state.hpp"

namespace hanat {

/// The server that has these addresses; else one that has one of them, with its port. nullopt: there is none.
std::optional<std::size_t> find_by_endpoint(const std::vector<ServerConfig>& servers, const std::vector<Endpoint>& addresses);
/// The server of that name, "db1.lan:5432", whatever its addresses are now; else likewise. No name: empty.
std::optional<std::size_t> find_by_name(const std::vector<ServerConfig>& servers, const std::string& host,
                                        const std::vector<Endpoint>& addresses);

/// Likewise; else the only server on the same machine, unless that was another server `before`: a reload gave it another port.
std::optional<std::size_t> find_server(const std::vector<ServerConfig>& servers, const ServerState& server,
                                       std::span<const ServerState> before);

} // namespace hanat
