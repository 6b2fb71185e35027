// How long a server that keeps losing the traffic must have been up before it gets it again, while another server works. Each time that it
// loses it soon the wait doubles, up to a limit; with time it is forgiven. So a server that goes up and down on purpose moves the traffic
// only so often in an hour (most_gains).
// Pure: `now` is an argument. Not here: where the traffic goes meanwhile (decision), the events (failover/flapping).
#pragma once

#include <optional>

#include "daemon/config/config.hpp"

namespace hanat {

/// The rule of a service.
struct FlapRule {
  Clock::duration base{};  // what its failback waits for anyway: the first wait is twice that
  Clock::duration limit{}; // the longest wait; also how long a server must keep the traffic, and how long it takes to forgive once
  bool operator==(const FlapRule&) const = default;
};
FlapRule flap_rule(const ServiceConfig& service);

/// What is held against a server, as it is kept over a restart.
struct FlapRecord {
  std::optional<Time> gained_at; // nullopt: it has not got the traffic since hanatd knows it, or it has lost it
  unsigned level = 0;            // when it lost the traffic last
  Time lost_at{};
  bool operator==(const FlapRecord&) const = default;
};

/// Of one server.
class FlapDamping {
public:
  FlapDamping() = default;
  explicit FlapDamping(const FlapRecord& record) : record_(record) {}
  const FlapRecord& record() const { return record_; }

  /// It has the traffic from now on. One that an operator took it from has it back: that is no new gain, whatever brings it back.
  void gained(Time now);
  /// It has lost it, and it is to blame. True: it had it for too short a time, and waits longer from now on.
  bool lost(const FlapRule& rule, Time now);
  /// It has given it back to a better one.
  void handed_over() { record_.gained_at.reset(); }
  /// An operator, a drill or a reload took it away, or gave it: what happens in between is not held against anybody.
  void taken_by_order() { taken_by_order_ = true; }
  void given_by_order() { taken_by_order_ = false; }
  /// Another one has it by a move that nobody ordered: it will not have it back, but gain it.
  void passed_over() { taken_by_order_ = false; }

  /// How often it lost the traffic soon, without what is forgiven.
  unsigned level(const FlapRule& rule, Time now) const;
  /// So long it must have been up; zero: nothing is held against it.
  Clock::duration wait(const FlapRule& rule, Time now) const;
  /// When all will be forgiven, if it does not lose the traffic again; nullopt: nothing is held against it.
  std::optional<Time> forgiven_at(const FlapRule& rule, Time now) const;
  /// When the next of it will be.
  std::optional<Time> next_change(const FlapRule& rule, Time now) const;

  bool operator==(const FlapDamping&) const = default;

private:
  FlapRecord record_;
  bool taken_by_order_ = false; // until it has the traffic back
};

/// No server can get the traffic more often than that in any `period`, whatever it does, as long as another server is up: see hanatd(8).
unsigned most_gains(const FlapRule& rule, Clock::duration period);

} // namespace hanat
