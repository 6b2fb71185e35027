// Reads the keys of udp probes.
// Not here: how send and expect are written (send_expect), the keys of every probe (read_probe).
#include "daemon/config/probe/keys.hpp"

namespace hanat::config {

void read_udp(TableReader& reader, probes::ProbeSpec& spec) {
  read_send_expect(reader, spec.edit<probes::SendExpectSpec>());
  if (spec.kind == probes::Kind::udp && reader.find("send") == nullptr && reader.find("send_hex") == nullptr)
    reader.report_error(*reader.find("type"),
                        "a udp probe needs data to send: write send = \"...\" or send_hex = \"...\", to which the service responds");
}

} // namespace hanat::config
