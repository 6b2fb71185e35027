// The reports of nf_tables about one packet, in order, and how far it came. Pure. Not here: where the reports come from (tracer), what they
// mean for a client (culprit).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "nat/clock.hpp"
#include "nat/nftables/trace_step.hpp"
#include "nat/nftables/trace_table.hpp"

namespace hanat {

struct TracedPacket {
  bool reply = false; // from the server's side
  std::vector<nat::TraceStep> steps;
  bool operator==(const TracedPacket&) const = default;
};

/// The last of these moments that a packet came to.
enum class Reached : std::uint8_t {
  nothing,   // no report
  begin,     // prerouting or output
  routing,   // the end of prerouting
  forward,   // its begin
  forwarded, // its end
  input,     // its begin: to a process of the gateway
  delivered, // its end
  left,      // the end of postrouting
};
Reached reached_by(const TracedPacket& packet, const std::string& trace_table);

/// Whether no more reports are to come: dropped, delivered, or gone out.
bool is_over(const TracedPacket& packet, const std::string& trace_table);
bool is_dropped(const TracedPacket& packet);

/// Whether the packet is of this client and virtual endpoint, as far as its reports tell.
bool belongs_to(const TracedPacket& packet, const nat::TracedClient& traced);

/// Sorts reports into packets. The kernel's numbers of packets come back: a packet begins where the trace table begins to trace it, and
/// reports of packets that somebody else traces are left out.
class PacketCollector {
public:
  explicit PacketCollector(std::string trace_table) : trace_table_(std::move(trace_table)) {}

  struct Collected {
    TracedPacket packet;
    std::uint32_t number = 0;
    Clock::time_point begun, last; // first and last report
  };
  void add(nat::TraceStep step, Clock::time_point now);
  const std::vector<Collected>& packets() const { return packets_; }
  void clear() { packets_.clear(); }

  static constexpr std::size_t packets_at_most = 1'000; // the rest is of a flood: the first ones tell as much

private:
  std::string trace_table_;
  std::vector<Collected> packets_;
};

} // namespace hanat
