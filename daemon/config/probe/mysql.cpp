// Reads the keys of mysql probes.
// Not here: the login (shared_keys), the keys of every probe (read_probe).
#include "daemon/config/probe/keys.hpp"

namespace hanat::config {

void read_mysql(TableReader& reader, probes::ProbeSpec& spec) {
  static constexpr Choice<bool> states[] = {{.text = "ONLINE", .value = true}};
  auto& sql = spec.edit<probes::SqlSpec>();
  read_login(reader, sql);
  sql.wsrep_ready = reader.flag("wsrep_ready").value.value_or(false);
  sql.member_online = reader.choice<bool>("member_state", states).value.value_or(false);
  if (sql.wsrep_ready) require_user(reader, "wsrep_ready");
  if (sql.member_online) require_user(reader, "member_state");
}

} // namespace hanat::config
