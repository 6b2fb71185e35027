// Reads the keys of tls probes.
// Not here: host and expires_within (shared_keys), the keys of every probe (read_probe).
#include "daemon/config/probe/keys.hpp"

namespace hanat::config {

void read_tls(TableReader& reader, probes::ProbeSpec& spec) {
  auto& tls = spec.edit<probes::TlsSpec>();
  tls.host = read_host(reader, "host", "www.example.com");
  tls.verify = reader.flag("verify").value.value_or(false);
  tls.expires_within = read_expires_within(reader);
}

} // namespace hanat::config
