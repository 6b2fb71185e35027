// What the probes of secured servers cost a failover. Not here: what one of them costs (secured).
#pragma once

namespace hanat::bench {

void flips_beside_secured_probes(bool small);

} // namespace hanat::bench
