// Kind exec: runs a program of the operator, without a shell; exit status 0 passes. The program and its process group are killed at the
// deadline, and the group when the program exits. Not here: what an exit status means (exec_answer), starting programs (exec_spawn).
#pragma once

#include <memory>

#include "probes/pending_probe.hpp"

namespace hanat::probes {

class Timers;

class Exec {
public:
  explicit Exec(Timers& timers);
  ~Exec(); // after every PendingProbe it started
  Exec(const Exec&) = delete;
  Exec& operator=(const Exec&) = delete;

  /// `probe` must outlive the returned PendingProbe.
  StartResult start(const Probe& probe, OnResult on_result);

  /// Programs at once, including those that were killed and not reaped yet. More would slow the gateway itself.
  static constexpr std::size_t max_programs = 64;

  struct Impl;

private:
  Timers& timers_;
  std::unique_ptr<Impl> impl_; // made for the first probe: it has a thread
};

} // namespace hanat::probes
