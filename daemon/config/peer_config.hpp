// How the two gateways of a pair reach each other, as values. Not here: reading them (peer_keys), the link (daemon/peer).
#pragma once

#include <optional>
#include <string>

#include "nat/address.hpp"

namespace hanat {

/// The files and what they held when they were read, as PEM.
struct PeerTls {
  std::string ca, cert, key;             // paths
  std::string ca_pem, cert_pem, key_pem; // a renewed certificate differs here alone
  bool operator==(const PeerTls&) const = default;
};
struct PeerConfig {
  Endpoint peer, listen;
  std::optional<PeerTls> tls = {}; // nullopt: insecure_peer = true
  bool operator==(const PeerConfig&) const = default;
};

} // namespace hanat
