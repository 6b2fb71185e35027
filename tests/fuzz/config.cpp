// Feeds any bytes to the configuration reader: it must not crash, its errors must be printable, and a configuration that it accepts must
// hold what other modules rely on.
#include "daemon/config/load_config.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "daemon/config/probe_targets.hpp"
#include "daemon/interfaces/fill_listen.hpp"
#include "nat/port_range.hpp"

namespace {

void must(bool condition) {
  if (!condition) std::abort();
}

void check_service(const hanat::ServiceConfig& service) {
  must(!service.listen.empty() && !service.servers.empty());
  for (const hanat::ServerConfig& server : service.servers) {
    if (server.host) continue; // its addresses are not known here
    for (const hanat::Vip& vip : service.listen) {
      const auto endpoint = hanat::endpoint_for(server, vip);
      must(endpoint && (endpoint->port != 0) != hanat::is_range(vip) && endpoint->address.family() == vip.address.family());
    }
    const auto probes = hanat::probes_for(service, server);
    must(!probes.empty());
    for (const auto& probe : probes) {
      must(probe.server.port != 0 || !hanat::probe_protocol(probe.spec.kind));
      must(probe.spec.timeout + (service.down.fails - 1) * probe.spec.fast_interval < service.down.within);
    }
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto result = hanat::parse_config({reinterpret_cast<const char*>(data), size}, "fuzz");
  if (const auto* errors = std::get_if<std::vector<hanat::ConfigError>>(&result)) {
    must(!errors->empty());
    for (const hanat::ConfigError& error : *errors)
      for (const char c : hanat::to_text(error)) must(c >= ' ' && c <= '~');
    return 0;
  }
  const auto config = std::make_shared<const hanat::Config>(std::get<hanat::Config>(result));
  const auto any = [](const std::string&) { // that no configuration is likely to have
    return hanat::InterfaceAddresses{
        .exists = true,
        .up = true,
        .addresses = {hanat::Address::parse("198.51.100.7").value(), hanat::Address::parse("2001:db8:7::7").value()},
        .others = {}};
  };
  const auto filled = hanat::fill_listen(config, any);
  std::map<hanat::Vip, bool> listeners;
  for (const hanat::ServiceConfig& service : filled.config->services)
    for (const hanat::Vip& vip : service.listen) {
      must(!vip.address.is_unspecified());
      hanat::for_overlapping(listeners, vip, [](const auto&) { must(false); });
      listeners.emplace(vip, true);
    }
  for (const hanat::ServiceConfig& service : filled.config->services) {
    const auto states = filled.services.find(service.name);
    const bool overlaps =
        states != filled.services.end() && !service.listen.empty() &&
        std::any_of(states->second.begin(), states->second.end(), [](const auto& state) { return !state.overlaps.empty(); });
    if (!service.listen.empty() && !overlaps) check_service(service);
  }
  return 0;
}
