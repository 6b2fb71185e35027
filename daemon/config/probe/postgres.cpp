// Reads the keys of postgres probes.
// Not here: the login (shared_keys), the keys of every probe (read_probe).
#include <chrono>

#include "daemon/config/probe/keys.hpp"

namespace hanat::config {
namespace {

constexpr DurationLimits lag_limits{.least = std::chrono::milliseconds{100}, .most = day, .example = "10s"};

} // namespace

void read_postgres(TableReader& reader, probes::ProbeSpec& spec) {
  auto& sql = spec.edit<probes::SqlSpec>();
  read_login(reader, sql);
  sql.database = read_name(reader, "database");
  sql.in_recovery = reader.flag("in_recovery").value;
  sql.max_lag = reader.duration("max_lag", lag_limits).value;
  if (sql.in_recovery) require_user(reader, "in_recovery");
  if (sql.max_lag) require_user(reader, "max_lag");
  if (spec.kind == probes::Kind::postgres && sql.writable && sql.in_recovery == true)
    reader.report_error(
        *reader.find("in_recovery"),
        "probe.in_recovery = true and probe.writable = true exclude each other: a server in recovery takes no writes; remove one");
}

} // namespace hanat::config
