// Reads the keys of agent probes.
// Not here: the forms of `send` (send_expect), the keys of every probe (read_probe).
#include "daemon/config/probe/keys.hpp"

namespace hanat::config {

void read_agent(TableReader& reader, probes::ProbeSpec& spec) { read_send(reader, spec.edit<probes::AgentSpec>().send); }

} // namespace hanat::config
