// Whose refusals the guard holds: the elements of `held4` and `held6`, read back. Conntrack does not know these clients any more: a reset
// in answer to a first SYN ends its entry at once. Own netlink socket: an object of this class may live on a worker thread. Not here:
// holding (layout), telling them (nudge).
#pragma once

#include <string>
#include <vector>

#include "nat/address.hpp"
#include "nat/handles.hpp"
#include "nat/netlink.hpp"

namespace hanat::nat {

struct HeldClient {
  Endpoint vip, client;
  bool operator==(const HeldClient&) const = default;
};

/// The elements of one message of a dump; what does not look like one is left out. Pure.
std::vector<HeldClient> held_in(const nftnl_set& set);

class HeldReader {
public:
  /// Throws std::system_error.
  explicit HeldReader(std::string table) : table_(std::move(table)) {}
  /// Those of the last nat::held_for, of both families. Throws std::system_error.
  std::vector<HeldClient> read();

private:
  std::string table_;
  Netlink socket_;
};

} // namespace hanat::nat
