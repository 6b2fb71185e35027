// Feeds any bytes to the configuration reader: it must not crash, its errors must be printable, and a configuration that it accepts must
// hold what other modules rely on.
#include "daemon/config/load_config.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <variant>
#include <vector>

#include "daemon/config/probe_targets.hpp"

namespace {

void must(bool condition) {
  if (!condition) std::abort();
}

void check_service(const hanat::ServiceConfig& service) {
  must(!service.listen.empty() && !service.servers.empty());
  for (const hanat::ServerConfig& server : service.servers) {
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
  for (const hanat::ServiceConfig& service : std::get<hanat::Config>(result).services) check_service(service);
  return 0;
}
