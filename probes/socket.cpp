// socket(), its options and bind().
#include "probes/socket.hpp"

#include <cerrno>

#include <netinet/in.h>

namespace hanat::probes {
namespace {

// Linux since 4.2; some libc headers of that age do not name it.
#ifndef IP_BIND_ADDRESS_NO_PORT
constexpr int IP_BIND_ADDRESS_NO_PORT = 24;
#endif

bool bind_source(int fd, int type, const Address& source) {
  // The port is chosen in connect(), for this one destination: otherwise every probe from this source takes a port of its own.
  const int on = 1;
  if (type != SOCK_RAW && setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) != 0) return false;
  const SocketAddress address = to_sockaddr({.address = source, .port = 0});
  return bind(fd, address.get(), address.length) == 0;
}

} // namespace

std::variant<Socket, int> open_probe_socket(const Question& question, int type, int protocol) {
  const int domain = question.server.address.family() == Family::ipv4 ? AF_INET : AF_INET6;
  Socket result{socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol)};
  if (result.fd() < 0) return errno;
  // close() sends RST instead of FIN: no TIME_WAIT, which at a thousand probes a second would use up every port within a minute.
  const linger abort{.l_onoff = 1, .l_linger = 0};
  if (type == SOCK_STREAM && setsockopt(result.fd(), SOL_SOCKET, SO_LINGER, &abort, sizeof abort) != 0) return errno;
  const Spec& spec = question.spec;
  if (!spec.interface.empty() &&
      setsockopt(result.fd(), SOL_SOCKET, SO_BINDTODEVICE, spec.interface.data(), static_cast<socklen_t>(spec.interface.size())) != 0)
    return errno;
  if (spec.source && !bind_source(result.fd(), type, *spec.source)) return errno;
  return result;
}

int pending_error(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) return errno;
  // Of a connect() under way, EACCES is an ICMPv6 "administratively prohibited": another machine's word, not our own firewall's.
  return error == EACCES ? EHOSTUNREACH : error;
}

} // namespace hanat::probes
