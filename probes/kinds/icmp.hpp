// Kind icmp: does the host reply to an echo request? All probes with the same family, source and interface share one raw socket: with a
// socket each, every socket would receive every reply. Not here: the messages (icmp_message).
#pragma once

#include <memory>

#include "probes/pending_probe.hpp"

namespace hanat::probes {

class Timers;

class Icmp {
public:
  explicit Icmp(Timers& timers);
  ~Icmp(); // after every PendingProbe it started
  Icmp(const Icmp&) = delete;
  Icmp& operator=(const Icmp&) = delete;

  /// `probe` must outlive the returned PendingProbe.
  StartResult start(const Probe& probe, OnResult on_result);

  struct Impl;

private:
  std::unique_ptr<Impl> impl_;
};

} // namespace hanat::probes
