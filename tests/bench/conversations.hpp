// TCP conversations of finished frames: they go into the links of client and server by packet sockets, and are counted and dropped where
// they come out. So a packet costs what those between make of it, not the stacks and programs of the ends. Not here: who is between
// (forward_paths), rounds (forward_rounds).
#pragma once

#include <cstdint>
#include <memory>

#include "tests/netns/lab/lab.hpp"

namespace hanat::bench {

enum class Direction : std::uint8_t { request, reply };

/// While it lives, what client and server get of this service ends before their stacks.
class Conversations {
public:
  /// `service`: as clients address it; `server`: as the server is addressed. IPv4.
  Conversations(test::Lab& lab, const Endpoint& service, const Endpoint& server);
  ~Conversations();

  /// ns a packet, of so many in one direction of one established connection. Throws if one of them is lost.
  double packets(Direction direction, unsigned number);
  /// ns a connection, of so many, 64 at a time: a handshake, a request, its answer, both close; ten packets. Throws like packets().
  double connections(unsigned number);

private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

} // namespace hanat::bench
