// A libuv loop with a scheduler, for tests that probe real sockets. Not here: servers (scripted).
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include <gtest/gtest.h>
#include <uv.h>

#include "probes/scheduling/scheduler.hpp"
#include "tests/netns/lab/isolated.hpp"

namespace hanat::test {

class Probing {
public:
  Probing();
  ~Probing(); // fails the test when a handle is left open
  Probing(const Probing&) = delete;
  Probing& operator=(const Probing&) = delete;

  /// Runs the loop until `done` returns true; false: it did not within `limit`.
  bool run_until(const std::function<bool()>& done, Clock::duration limit = std::chrono::seconds{10});
  void run_for(Clock::duration time);
  /// Blocks the loop for so long once a probe is in flight, before its reply can be read.
  void block_loop(Clock::duration time);

  struct Received {
    probes::ProbeId id;
    probes::ProbeResult result;
  };
  std::vector<Received> results;
  std::function<void(probes::ProbeId, const probes::ProbeResult&)> on_result; // called after `results` has the new one

  uv_loop_t loop{};
  std::unique_ptr<probes::Scheduler> scheduler;
};

/// Runs the probe once, on a loop of its own.
probes::ProbeResult probe_once(const probes::Probe& probe);

probes::Probe tcp_probe(const Endpoint& server, Clock::duration timeout = std::chrono::milliseconds{300});
probes::Probe http_probe(const Endpoint& server, Clock::duration timeout = std::chrono::milliseconds{300},
                         probes::Kind kind = probes::Kind::http);
/// The same for the server, but another probe for the scheduler, which runs equal probes once.
probes::Probe variant(probes::Probe probe, std::size_t number);
Endpoint at(const char* address, std::uint16_t port);

void print_lateness(const Probing& probing, const char* what);

/// Takes descriptors away from this process, until it goes out of scope.
class NoDescriptors {
public:
  NoDescriptors();
  ~NoDescriptors();
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;

private:
  unsigned long limit_;
};

/// What a busy machine may add to a deadline.
constexpr std::chrono::milliseconds noise{250};

/// The result came at the deadline: not earlier, and at most `noise` later.
testing::AssertionResult at_deadline(Clock::duration latency, Clock::duration timeout);

} // namespace hanat::test
