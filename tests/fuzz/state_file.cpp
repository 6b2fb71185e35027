// Feeds any bytes to the parser of the state files: it must not throw, and each override, disabled server, name and drain that it returns
// must be complete.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "daemon/state/state_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto loaded = hanat::parse_state({reinterpret_cast<const char*>(data), size});
  for (const auto& override : loaded.state.overrides)
    if (override.service.empty() || override.target.empty()) std::abort();
  for (const auto& disabled : loaded.state.maintenance)
    if (disabled.service.empty() || disabled.server.empty() || (disabled.addresses.empty() && disabled.host.empty())) std::abort();
  for (const auto& name : loaded.state.names)
    if (name.name.empty() || name.address == hanat::Address{}) std::abort();
  for (const auto& drain : loaded.state.drains) {
    if (drain.service.empty() || !drain.comment.starts_with(drain.service)) std::abort();
    for (const auto& mapping : drain.flows)
      if (mapping.vip.port == 0 || mapping.server.port == 0 || mapping.vip.address.family() != mapping.server.address.family())
        std::abort();
  }
  return 0;
}
