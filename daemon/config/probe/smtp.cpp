// Reads the keys of smtp probes.
// Not here: host names (shared_keys), the keys of every probe (read_probe).
#include <utility>

#include "daemon/config/probe/keys.hpp"

namespace hanat::config {

void read_smtp(TableReader& reader, probes::ProbeSpec& spec) {
  if (std::string hello = read_host(reader, "hello", "mx.example.com"); !hello.empty())
    spec.edit<probes::SmtpSpec>().hello = std::move(hello);
}

} // namespace hanat::config
