// Whether [pair] names addresses in such a way that the two gateways can reach each other: the file of the other one is copied easily. Not
// here: reading the keys (config/peer_keys).
#pragma once

#include <optional>
#include <string>

#include "daemon/config/peer_config.hpp"

namespace hanat {

/// In the calling thread's network namespace; neither waits nor sends.
bool is_own_address(const Address& address);

/// What is wrong, with the remedy. nullopt: `listen` is an address of this machine, and `peer` is not. Pure.
std::optional<std::string> wrong_addresses(const PeerConfig& config, bool owns_listen, bool owns_peer);
/// The same, by the addresses that this machine has now.
std::optional<std::string> wrong_addresses(const PeerConfig& config);

} // namespace hanat
