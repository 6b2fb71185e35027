// Bytes from a raw ICMP socket. The first byte selects the family.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "probes/kinds/icmp_message.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto family = data[0] % 2 == 0 ? hanat::Family::ipv4 : hanat::Family::ipv6;
  const auto received = hanat::probes::parse_icmp(family, {reinterpret_cast<const char*>(data) + 1, size - 1});
  if (received && received->quoted && received->quoted->family() != family) std::abort();
  if (received && !received->quoted && !received->has_token) std::abort();
  return 0;
}
