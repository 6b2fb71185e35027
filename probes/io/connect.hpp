// Starts a probe over one connected socket: tcp, TCP sessions and UDP exchanges.
// Not here: what is sent and received (kinds/, udp_exchange).
#pragma once

#include <memory>
#include <utility>
#include <variant>

#include "probes/io/socket.hpp"
#include "probes/io/timers.hpp"
#include "probes/io/uv.hpp"
#include "probes/pending_probe.hpp"

namespace hanat::probes {

struct ConnectedSocket {
  Fd socket;
  bool established = false; // false: the TCP handshake is in progress
};
/// `type`: SOCK_STREAM or SOCK_DGRAM. A datagram socket reports every ICMP error about its flow.
std::variant<ConnectedSocket, ProbeResult> connect_probe_socket(const Probe& probe, int type, Clock::time_point start);

/// The same with a socket that is open, and not connected: whether it is established already.
std::variant<bool, ProbeResult> start_connect(const Fd& socket, const Probe& probe, Clock::time_point start);
/// Ends the connection of a TCP socket, as closing it would, with a reset; the socket can connect again, from another port. False: it has
/// to be closed.
bool disconnect(const Fd& socket);

/// Makes a Pending(timers, start, socket, poll, arguments...) and calls its watch(), which returns a negative libuv error or 0.
template <class Pending, class... Arguments>
StartResult watch_socket(Timers& timers, Clock::time_point start, Fd socket, Arguments&&... arguments) {
  int error = 0;
  Poll poll = try_poll(timers.loop(), socket.get(), error);
  if (!poll) return result_from_errno(-error, Clock::now() - start);
  auto pending = std::make_unique<Pending>(timers, start, std::move(socket), std::move(poll), std::forward<Arguments>(arguments)...);
  if (error = pending->watch(); error < 0) return result_from_errno(-error, Clock::now() - start);
  return pending;
}

} // namespace hanat::probes
