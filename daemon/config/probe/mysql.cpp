// Reads the keys of mysql probes.
// Not here: the login (shared_keys), the keys of every probe (read_probe).
#include "daemon/config/probe/keys.hpp"

namespace hanat::config {

void read_mysql(TableReader& reader, probes::ProbeSpec& spec) { read_login(reader, spec.edit<probes::SqlSpec>()); }

} // namespace hanat::config
