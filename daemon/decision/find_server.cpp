// From the surest sign to the weakest.
#include "daemon/decision/find_server.hpp"

#include <algorithm>

#include "daemon/decision/reconfiguration.hpp"

namespace hanat {
namespace {

bool shares(const std::vector<Endpoint>& one, const std::vector<Endpoint>& other, bool ports) {
  return std::ranges::any_of(one, [&](const Endpoint& mine) {
    return std::ranges::any_of(other, [&](const Endpoint& yours) { return ports ? mine == yours : mine.address == yours.address; });
  });
}

} // namespace

std::optional<std::size_t> find_by_endpoint(const std::vector<ServerConfig>& servers, const std::vector<Endpoint>& addresses) {
  if (addresses.empty()) return std::nullopt; // of a name without an address
  auto found = std::ranges::find_if(
      servers, [&](const ServerConfig& server) { return server.role != former_role && server.addresses == addresses; });
  if (found == servers.end())
    found = std::ranges::find_if(
        servers, [&](const ServerConfig& server) { return server.role != former_role && shares(server.addresses, addresses, true); });
  return found == servers.end() ? std::nullopt : std::optional{static_cast<std::size_t>(found - servers.begin())};
}

std::optional<std::size_t> find_by_name(const std::vector<ServerConfig>& servers, const std::string& host,
                                        const std::vector<Endpoint>& addresses) {
  const auto has_name = [&](const ServerConfig& server) { return server.host && to_text(*server.host) == host; };
  const auto named = std::ranges::find_if(servers, has_name);
  return named == servers.end() ? find_by_endpoint(servers, addresses) : std::optional{static_cast<std::size_t>(named - servers.begin())};
}

std::optional<std::size_t> find_server(const std::vector<ServerConfig>& servers, const ServerState& server,
                                       std::span<const ServerState> before) {
  const std::vector<Endpoint>& addresses = server.addresses;
  if (const auto same = find_by_name(servers, server.host, addresses)) return same;
  const auto on_machine = [&](const ServerConfig& other) {
    return other.role != former_role && shares(other.addresses, addresses, false) &&
           std::ranges::none_of(before, [&](const ServerState& old) { return old.addresses == other.addresses; });
  };
  const auto only = std::ranges::find_if(servers, on_machine);
  return std::ranges::count_if(servers, on_machine) == 1 ? std::optional{static_cast<std::size_t>(only - servers.begin())} : std::nullopt;
}

} // namespace hanat
