// What the doctor needs of a trace of packets through the rules of this machine. Not here: how packets are traced.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "daemon/doctor/finding.hpp"
#include "nat/address.hpp"
#include "nat/clock.hpp"

namespace hanat {

struct TraceTarget {
  std::string service;
  Address client;
  std::optional<std::uint16_t> client_port; // nullopt: any
  Vip vip;
  std::optional<Endpoint> server; // where its flows go
  std::string seen_by;            // whose packets these are, for Finding::seen_by
  bool own_client = false;        // of hanatd: a finding says only that
};
struct Traced {
  std::vector<Finding> found;         // rules that took or dropped the packet
  std::optional<std::string> left_by; // the interface by which it left this machine
  bool seen = false;                  // a packet was followed
  std::optional<Finding> lost = {};   // it did not get through, and no rule did it
  bool refused = false;               // too many are traced
};

/// Used on the loop's thread. Never blocks it.
class Tracing {
public:
  virtual ~Tracing() = default;
  using OnReady = std::function<void()>;
  using OnDone = std::function<void(const Traced&)>;
  /// Both are called on the loop, once: `on_ready` when the next packet is traced, or cannot be; `on_done` behind it,
  /// when a packet was followed to its end or `limit` is over.
  virtual void start(const TraceTarget& target, Clock::duration limit, OnReady on_ready, OnDone on_done) = 0;
  /// Ends all traces; nothing is called for them any more.
  virtual void stop() = 0;
};

} // namespace hanat
