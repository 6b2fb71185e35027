// Reads the keys of icmp probes.
// Not here: the keys of every probe (read_probe).
#include "daemon/config/probe/keys.hpp"

namespace hanat::config {

void read_icmp(TableReader& reader, probes::ProbeSpec& spec) {
  if (spec.kind != probes::Kind::icmp) return;
  if (const toml::node* port = reader.find("port"))
    reader.report_error(*port, "an icmp probe has no port: remove port, or write type = \"tcp\"");
}

} // namespace hanat::config
