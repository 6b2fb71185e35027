// When a trace has seen enough. Pure. Not here: the thread that runs it (trace_thread), the packets (traced_packet).
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "daemon/doctor/traced_packet.hpp"
#include "nat/clock.hpp"

namespace hanat {

/// A request that went out waits this long for its reply.
inline constexpr std::chrono::milliseconds reply_wait{1'000};
/// Reports of one packet come together. After this long without one the packet is lost; one that a program has in its queue may take
/// longer.
inline constexpr std::chrono::milliseconds quiet_wait{150};

struct TraceSession {
  nat::TracedClient traced;
  Clock::time_point begun, deadline;
};

/// The packets of the session's client that began since it did.
std::vector<PacketCollector::Collected> packets_of(const TraceSession& session, const PacketCollector& collector);

/// When the session ends if no more reports come; at or before `now`: it has.
Clock::time_point end_of(const TraceSession& session, const std::vector<PacketCollector::Collected>& packets,
                         const std::string& trace_table);

} // namespace hanat
