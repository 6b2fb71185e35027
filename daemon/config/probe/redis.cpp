// Reads the keys of redis probes.
// Not here: the keys of every probe (read_probe).
#include "daemon/config/probe/keys.hpp"

namespace hanat::config {

void read_redis(TableReader& reader, probes::ProbeSpec& spec) {
  static constexpr Choice<bool> roles[] = {{.text = "master", .value = true}};
  spec.edit<probes::RedisSpec>().master = reader.choice<bool>("role", roles).value.value_or(false);
}

} // namespace hanat::config
