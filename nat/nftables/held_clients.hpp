// Reads back the clients whose connection refusals the guard holds: the elements of `held4` and `held6`. Conntrack no longer knows these
// clients, since a reset in reply to a first SYN ends its entry at once. The reader has its own netlink socket, so it may live on a worker
// thread. Not here: holding a refusal (ruleset), nudging the clients (nudge).
#pragma once

#include <string>
#include <vector>

#include "nat/address.hpp"
#include "nat/nftables/element_dump.hpp"

namespace hanat::nat {

struct HeldClient {
  Endpoint vip, client;
  bool operator==(const HeldClient&) const = default;
};

/// The elements in one message of a dump; keys of another shape are ignored. Pure.
std::vector<HeldClient> held_clients_in(const nftnl_set& set);

class HeldClientReader {
public:
  /// Throws std::system_error.
  explicit HeldClientReader(std::string table) : dump_(std::move(table)) {}
  /// Clients held within the last nat::held_for, of both families. Throws std::system_error.
  std::vector<HeldClient> read();

private:
  ElementDump dump_;
};

} // namespace hanat::nat
