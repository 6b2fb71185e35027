// Kind tcp: does the TCP handshake complete in time? Not here: sending or expecting anything (send_expect).
#pragma once

#include <array>
#include <variant>
#include <vector>

#include "probes/io/ready_watch.hpp"
#include "probes/io/timers.hpp"
#include "probes/pending_probe.hpp"

namespace hanat::probes {

class Tcp {
public:
  /// Throws std::system_error.
  explicit Tcp(Timers& timers) : timers_(timers), watch_(timers.loop()) {}

  /// `probe` must outlive the returned PendingProbe, which must not outlive this.
  StartResult start(const Probe& probe, OnResult on_result);

private:
  std::vector<ReadyWatch::Socket>* idle_for(const Probe& probe);
  /// One that is not connected, or an errno.
  std::variant<ReadyWatch::Socket, int> socket_for(const Probe& probe, std::vector<ReadyWatch::Socket>* idle);

  Timers& timers_;
  ReadyWatch watch_;
  std::array<std::vector<ReadyWatch::Socket>, 2> idle_; // by family: sockets that are not connected
};

} // namespace hanat::probes
