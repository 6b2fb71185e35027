// The keys of [pair] about the other gateway: peer, listen, ca, cert, key, insecure_peer. Not here: the other keys of that table.
#pragma once

#include <optional>

#include "daemon/config/diagnostics.hpp"
#include "daemon/config/peer_config.hpp"
#include "daemon/config/toml_reader.hpp"

namespace hanat::config {

/// nullopt: none is configured, or not well. Reads the files of TLS.
std::optional<PeerConfig> read_peer(TableReader& reader, Diagnostics& diagnostics);

} // namespace hanat::config
