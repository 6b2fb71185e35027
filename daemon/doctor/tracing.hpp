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
  std::string seen_by; // whose packets these are, for Finding::seen_by
};
struct Traced {
  std::vector<Finding> found;         // rules that took or dropped the packet
  std::optional<std::string> left_by; // the interface by which it left this machine
};

/// Used on the loop's thread. Never blocks it.
class Tracing {
public:
  virtual ~Tracing() = default;
  using OnDone = std::function<void(const Traced&)>;
  /// When it returns, the next packet is traced. `on_done` is called once, on the loop and not from inside: when a packet was followed to
  /// its end, or when `limit` is over.
  virtual void start(const TraceTarget& target, Clock::duration limit, OnDone on_done) = 0;
  /// Ends all traces; their on_done is not called.
  virtual void stop() = 0;
};

} // namespace hanat
