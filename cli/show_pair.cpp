// The role in words.
#include "cli/show_pair.hpp"

#include <fmt/format.h>

#include "cli/text.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli {

std::string show_pair(const PairStatus& pair, const View& view) {
  const std::string since = local_time(pair.since, view.now), address = escaped(pair.address);
  if (pair.role == "standby")
    return fmt::format("pair: standby since {}: {} is not on this machine; servers are probed, and no connection is touched", since,
                       address);
  if (pair.role == "settling")
    return fmt::format("pair: active since {}, and it settles: until the other gateway's connections are here, packets that fit none are "
                       "dropped; the end comes with hanatctl settled, or by itself",
                       since);
  return fmt::format("pair: {} since {}: it has {}", escaped(pair.role), since, address);
}

} // namespace hanat::cli
