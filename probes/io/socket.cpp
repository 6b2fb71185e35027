// socket(), its options and bind().
#include "probes/io/socket.hpp"

#include <array>
#include <cerrno>
#include <cstdint>
#include <random>

#include <netinet/in.h>

#include "nat/marks.hpp"
#include "probes/io/conntrack_usage.hpp"

namespace hanat::probes {
namespace {

// Linux since 4.2; some libc headers of that age do not name it.
#ifndef IP_BIND_ADDRESS_NO_PORT
constexpr int IP_BIND_ADDRESS_NO_PORT = 24;
#endif

bool bind_source(int fd, int type, const Address& source) {
  // connect() chooses the port, for this one destination: otherwise every probe from this source would take a port of its own.
  const int on = 1;
  if (type != SOCK_RAW && setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) != 0) return false;
  const SocketAddress address = to_sockaddr({.address = source, .port = 0});
  return bind(fd, address.get(), address.length) == 0;
}

nat::ProbePorts untracked_ports; // use_probe_ports()

// Another socket may use the port; 32 random ports find a free one while fewer than nine in ten are taken.
constexpr int max_port_tries = 32;

/// For a full conntrack table: hanat's nftables table leaves these ports and this mark untracked. Otherwise probes are tracked, so that a
/// firewall that accepts established connections lets the replies in.
bool bind_untracked(int fd, const Probe& probe) {
  static thread_local std::minstd_rand random{std::random_device{}()};
  std::uniform_int_distribution<std::uint32_t> port{untracked_ports.first, untracked_ports.last};
  const std::uint32_t mark = nat::packet_mark;
  if (setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) != 0) return false;
  const Address any = probe.server.address.family() == Family::ipv4 ? Address{} : Address::from_bytes(std::array<std::uint8_t, 16>{});
  for (int tries = 0; tries < max_port_tries; ++tries) {
    const SocketAddress address =
        to_sockaddr({.address = probe.spec.source.value_or(any), .port = static_cast<std::uint16_t>(port(random))});
    if (bind(fd, address.get(), address.length) == 0) return true;
    if (errno != EADDRINUSE) return false;
  }
  return false;
}

} // namespace

std::variant<Fd, int> open_probe_socket(const Probe& probe, int type, int protocol) {
  const int domain = probe.server.address.family() == Family::ipv4 ? AF_INET : AF_INET6;
  Fd result{socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol)};
  if (result.get() < 0) return errno;
  // close() sends RST instead of FIN: at a thousand probes a second, TIME_WAIT would use up every port within a minute.
  const linger abort{.l_onoff = 1, .l_linger = 0};
  if (type == SOCK_STREAM && setsockopt(result.get(), SOL_SOCKET, SO_LINGER, &abort, sizeof abort) != 0) return errno;
  const ProbeSpec& spec = probe.spec;
  if (!spec.interface.empty() &&
      setsockopt(result.get(), SOL_SOCKET, SO_BINDTODEVICE, spec.interface.data(), static_cast<socklen_t>(spec.interface.size())) != 0)
    return errno;
  if (type != SOCK_RAW && conntrack_is_full()) {
    if (!bind_untracked(result.get(), probe)) return errno;
    return result;
  }
  if (spec.source && !bind_source(result.get(), type, *spec.source)) return errno;
  return result;
}

void use_probe_ports(const nat::ProbePorts& ports) { untracked_ports = ports; }

int pending_error(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) return errno;
  return error_of_network(error);
}

int error_of_network(int error) {
  switch (error) {
  case EACCES:                          // ICMPv6 "administratively prohibited" from another machine, not our own firewall
  case EPROTO:                          // ICMP "parameter problem"
  case EMSGSIZE:                        // "packet too big"
  case EOPNOTSUPP: return EHOSTUNREACH; // "source route failed"
  default: return error;
  }
}

} // namespace hanat::probes
