// An address to which a socket can be bound is this machine's.
#include "daemon/peer/own_address.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include "nat/fd.hpp"

namespace hanat {

bool is_own_address(const Address& address) {
  const SocketAddress at = to_sockaddr({.address = address, .port = 0});
  const Fd fd{socket(at.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  return fd && bind(fd.get(), at.get(), at.length) == 0;
}

std::optional<std::string> wrong_addresses(const PeerConfig& config, bool owns_listen, bool owns_peer) {
  const std::string listen = to_text(config.listen), peer = to_text(config.peer);
  if (!owns_listen && owns_peer)
    return fmt::format(
        "listen in [pair], {}, is no address of this machine, and peer, {}, is: this hanat.toml is the other gateway's; swap "
        "the two, then hanatctl reload",
        listen, peer);
  if (!owns_listen)
    return fmt::format("listen in [pair], {}, is no address of this machine: give it to an interface, or correct it and hanatctl reload",
                       listen);
  if (owns_peer)
    return fmt::format("peer in [pair], {}, is an address of this machine: name the other gateway's, then hanatctl reload", peer);
  return std::nullopt;
}

std::optional<std::string> wrong_addresses(const PeerConfig& config) {
  return wrong_addresses(config, is_own_address(config.listen.address), is_own_address(config.peer.address));
}

} // namespace hanat
