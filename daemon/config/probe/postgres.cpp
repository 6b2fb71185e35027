// Reads the keys of postgres probes.
// Not here: the login (shared_keys), the keys of every probe (read_probe).
#include "daemon/config/probe/keys.hpp"

namespace hanat::config {

void read_postgres(TableReader& reader, probes::ProbeSpec& spec) {
  auto& sql = spec.edit<probes::SqlSpec>();
  read_login(reader, sql);
  sql.database = read_name(reader, "database");
}

} // namespace hanat::config
