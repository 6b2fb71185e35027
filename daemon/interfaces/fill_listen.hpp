// Services that listen on interfaces get the addresses that these have now. Pure.
// Not here: which addresses an interface has (interface_table), what follows from another address (failover/reload).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/config.hpp"
#include "daemon/interfaces/interface_table.hpp"

namespace hanat {

/// So many addresses of an interface are listened on: a machine that has thousands of them would make the table as much larger.
inline constexpr std::size_t addresses_at_most = 64;

/// The interfaces that the configuration names.
std::set<std::string, std::less<>> interfaces_of(const Config& config);

/// An entry of `listen` that names an interface, and what has become of it.
struct ListenState {
  std::string text, interface;            // "eth0:443/tcp", "eth0"
  std::vector<Address> addresses;         // that the service listens on
  std::vector<std::string> absent = {};   // why there is none: "eth0 has no IPv4 address", for each family
  std::vector<std::string> overlaps = {}; // what somebody else has: "203.0.113.10:443/tcp is a listener of service mail"
  bool operator==(const ListenState&) const = default;
};

struct FilledListen {
  std::shared_ptr<const Config> config;                     // the one that was given where it names no interface
  std::map<std::string, std::vector<ListenState>> services; // of those that listen on interfaces, in the order of their entries
};

using FindInterface = std::function<InterfaceAddresses(const std::string& interface)>;
/// An endpoint that an address of the configuration has stays with that, and of two services that get one by interfaces the first of the
/// configuration has it. None may be the endpoint of a server: its packets would come back.
FilledListen fill_listen(const std::shared_ptr<const Config>& config, const FindInterface& find);

} // namespace hanat
