// Renews the heartbeat of the table without a transaction: a commit a second would make every long dump of the ruleset by another program
// start over. A packet to loopback with nat::heartbeat_mark meets the rule "hanatd's heartbeat" in the output hook, which renews the
// element and drops the packet. The class has its own sockets, so it works while the table's are in use. Not here: the rule (ruleset), the
// heartbeat by a transaction (table), when a heartbeat is due (daemon).
#pragma once

#include <array>
#include <string>

#include "nat/address.hpp"
#include "nat/fd.hpp"
#include "nat/netlink.hpp"

namespace hanat::nat {

class HeartbeatSocket {
public:
  /// Throws std::system_error.
  explicit HeartbeatSocket(std::string table);
  /// Sends the packet and reads the element back. Throws std::exception if that is not renewed: loopback has no address, the table or its
  /// rule is missing, another rule drops the packet before, or the kernel does not let packets renew elements.
  void send();

private:
  int send_packet(Family family);
  bool is_renewed();

  std::string table_;
  Netlink netlink_;
  std::array<Fd, 2> sockets_; // by family, from the first packet on
};

} // namespace hanat::nat
