// connect() without blocking.
#include "probes/io/connect.hpp"

#include <cerrno>

#include <netinet/in.h>
#include <sys/socket.h>

namespace hanat::probes {
namespace {

/// Without this the kernel reports "port unreachable" alone, and a host that is off would only time out.
bool enable_icmp_errors(int fd, Family family) {
  const int on = 1;
  return family == Family::ipv4 ? setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on) == 0
                                : setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on) == 0;
}

} // namespace

std::variant<bool, ProbeResult> start_connect(const Fd& socket, const Probe& probe, Clock::time_point start) {
  const SocketAddress address = to_sockaddr(probe.server);
  const bool established = connect(socket.get(), address.get(), address.length) == 0;
  if (!established && errno != EINPROGRESS) return result_from_connect(errno, Clock::now() - start);
  return established;
}

bool disconnect(const Fd& socket) {
  const sockaddr nobody{.sa_family = AF_UNSPEC, .sa_data = {}};
  return connect(socket.get(), &nobody, sizeof nobody) == 0;
}

std::variant<ConnectedSocket, ProbeResult> connect_probe_socket(const Probe& probe, int type, Clock::time_point start) {
  const auto failed = [start](int error) { return result_from_errno(error, Clock::now() - start); };
  auto opened = open_probe_socket(probe, type);
  if (const int* error = std::get_if<int>(&opened)) return failed(*error);
  auto& socket = std::get<Fd>(opened);
  if (type == SOCK_DGRAM && !enable_icmp_errors(socket.get(), probe.server.address.family())) return failed(errno);

  auto established = start_connect(socket, probe, start);
  if (auto* failure = std::get_if<ProbeResult>(&established)) return std::move(*failure);
  return ConnectedSocket{.socket = std::move(socket), .established = std::get<bool>(established)};
}

} // namespace hanat::probes
