// The floor of a probe over TLS: a client that is OpenSSL's blocking calls and nothing else, against the same server.
// Not here: hanat's own probes (secured).
#pragma once

#include <cstddef>
#include <string>

#include "nat/address.hpp"

namespace hanat::bench {

/// What a server wants to hear before TLS and behind it.
enum class Bare { redis, postgres, mysql, smtp };

/// Microseconds of the calling thread's CPU time for one connection: what its protocol says before TLS, a handshake with the certificate
/// checked, one exchange behind it; no login. `resume`: by the session of the connection before, where the server lets it (`resumed`).
struct BareCost {
  double us = 0;
  std::size_t resumed = 0; // of all
};
BareCost bare_tls(Bare kind, const Endpoint& server, const std::string& authority, bool resume, std::size_t connections);

} // namespace hanat::bench
