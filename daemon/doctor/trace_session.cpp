// The last packet decides, but one that was dropped ends the trace at once.
#include "daemon/doctor/trace_session.hpp"

#include <algorithm>

namespace hanat {
namespace {

using Collected = PacketCollector::Collected;

/// When this packet alone ends the trace.
Clock::time_point end_of_packet(const TraceSession& session, const Collected& collected, const std::string& trace_table) {
  const TracedPacket& packet = collected.packet;
  if (is_dropped(packet)) return collected.last;
  const Reached reached = reached_by(packet, trace_table);
  if (packet.reply && is_over(packet, trace_table)) return collected.last;
  const bool queued = packet.steps.back().verdict == nat::TraceVerdict::queue;
  if (reached == Reached::left || queued) return std::min(collected.last + reply_wait, session.deadline + reply_wait);
  return collected.last + quiet_wait;
}

} // namespace

std::vector<Collected> packets_of(const TraceSession& session, const PacketCollector& collector) {
  std::vector<Collected> packets;
  for (const Collected& collected : collector.packets())
    if (collected.begun >= session.begun && belongs_to(collected.packet, session.traced)) packets.push_back(collected);
  return packets;
}

Clock::time_point end_of(const TraceSession& session, const std::vector<Collected>& packets, const std::string& trace_table) {
  auto end = Clock::time_point::max();
  for (const Collected& collected : packets) end = std::min(end, end_of_packet(session, collected, trace_table));
  return packets.empty() ? session.deadline : end;
}

} // namespace hanat
