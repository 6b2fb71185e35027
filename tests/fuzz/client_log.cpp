// Bytes as a packet that the log group brought: parsing reads nothing outside them, and a signal names who is concerned. The first byte
// chooses the rule's prefix and the family.
#include <array>
#include <cstdlib>
#include <vector>

#include "nat/layout.hpp"
#include "probes/client_log.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  using namespace hanat;
  constexpr std::array prefixes{nat::log_refused, nat::log_unanswered, nat::log_unreachable};
  const std::vector<std::uint8_t> packet(data + 1, data + size); // exactly as long as the input: a read past its end is seen
  const auto family = (data[0] & 4) != 0 ? Family::ipv6 : Family::ipv4;
  const auto signal = probes::signal_in(prefixes[(data[0] & 3) % prefixes.size()], family, packet);
  if (!signal) return 0;
  if (!signal->server && !signal->vip) std::abort();
  if (signal->server && signal->server->address.family() != family) std::abort();
  if (signal->detail.size() > 80) std::abort();
  return 0;
}
