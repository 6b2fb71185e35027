// Kind tcp: does the TCP handshake complete in time? Not here: sending or expecting anything (send_expect).
#pragma once

#include <array>
#include <vector>

#include <uv.h>

#include "probes/io/ready_watch.hpp"
#include "probes/pending_probe.hpp"

namespace hanat::probes {

class Tcp {
public:
  /// Throws std::system_error.
  explicit Tcp(uv_loop_t* loop) : loop_(loop), watch_(loop) {}

  /// `probe` must outlive the returned PendingProbe, which must not outlive this.
  StartResult start(const Probe& probe, OnResult on_result);

private:
  std::vector<Fd>* idle_for(const Probe& probe);

  uv_loop_t* loop_;
  ReadyWatch watch_;
  std::array<std::vector<Fd>, 2> idle_; // by family: sockets that are not connected
};

} // namespace hanat::probes
