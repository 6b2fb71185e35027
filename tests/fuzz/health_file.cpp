// Feeds any bytes to the parser of the file of verdicts: it must not throw, and each service that it returns must be complete, and can be
// written again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "daemon/state/health_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto health = hanat::parse_health({reinterpret_cast<const char*>(data), size});
  for (const auto& [name, service] : health.services) {
    if (name.empty() || name != service.service) std::abort();
    for (const auto& server : service.servers)
      if ((server.flap_level > 0 && !server.lost_at) || server.flap_level > 64) std::abort();
    if (hanat::line_of(service).back() != '\n') std::abort();
  }
  return 0;
}
