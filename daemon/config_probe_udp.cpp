// Reads the keys of udp and icmp probes. Not here: the keys that every probe takes (config_probe).
#include "daemon/config_probe_kinds.hpp"

namespace hanat::config {
void read_udp(TableReader& reader, probes::Spec& spec) {
  read_talk(reader, spec.edit<probes::TalkSpec>());
  if (spec.kind == probes::Kind::udp && reader.find("send") == nullptr && reader.find("send_hex") == nullptr)
    reader.complain(*reader.find("type"),
                    "a udp probe that says nothing hears nothing: write send = \"...\" or send_hex = \"...\", which the "
                    "service answers");
}

void read_icmp(TableReader& reader, probes::Spec& spec) {
  if (spec.kind != probes::Kind::icmp) return;
  if (const toml::node* port = reader.find("port"))
    reader.complain(*port, "an icmp probe asks the host, and knows no ports: remove port, or write type = \"tcp\"");
}

} // namespace hanat::config
