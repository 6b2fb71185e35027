// Bytes as a logged packet: parsing reads nothing outside them, and an event names a server or a VIP. The first byte selects the rule's
// prefix and the family.
#include <array>
#include <cstdlib>
#include <vector>

#include "nat/marks.hpp"
#include "probes/passive/nflog_reader.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  using namespace hanat;
  constexpr std::array prefixes{nat::log_refused,     nat::log_unanswered, nat::log_unreachable,    nat::log_reconnect,
                                nat::log_undelivered, nat::log_answered,   nat::log_unacknowledged, nat::log_sample};
  const std::vector<std::uint8_t> packet(data + 1, data + size); // exactly as long as the input: a read past its end is seen
  const auto family = (data[0] & 8) != 0 ? Family::ipv6 : Family::ipv4;
  const auto event = probes::event_in(prefixes[(data[0] & 7) % prefixes.size()], family, packet);
  if (!event) return 0;
  if (!event->server && !event->vip) std::abort();
  if (event->server && event->server->address.family() != family) std::abort();
  if (event->detail.size() > 80) std::abort();
  return 0;
}
