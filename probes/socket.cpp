// socket(), its options and bind().
#include "probes/socket.hpp"

#include <cerrno>

#include <netinet/in.h>
#include <sys/socket.h>

namespace hanat::probes {
namespace {

// Linux since 4.2; some libc headers of that age do not name it.
#ifndef IP_BIND_ADDRESS_NO_PORT
constexpr int IP_BIND_ADDRESS_NO_PORT = 24;
#endif

bool bind_source(int fd, const Address& source) {
  // The port is chosen in connect(), for this one destination: otherwise every probe from this source takes a port of its own.
  const int on = 1;
  if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) != 0) return false;
  const SocketAddress address = to_sockaddr({.address = source, .port = 0});
  return bind(fd, address.get(), address.length) == 0;
}

} // namespace

std::variant<Socket, int> open_probe_socket(Family family, const std::optional<Address>& source) {
  Socket result{socket(family == Family::ipv4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP)};
  if (result.fd() < 0) return errno;
  // close() sends RST instead of FIN: no TIME_WAIT, which at a thousand probes a second would use up every port within a minute.
  const linger abort{.l_onoff = 1, .l_linger = 0};
  if (setsockopt(result.fd(), SOL_SOCKET, SO_LINGER, &abort, sizeof abort) != 0) return errno;
  if (source && !bind_source(result.fd(), *source)) return errno;
  return result;
}

} // namespace hanat::probes
