// The trace table's own chains are the milestones.
#include "daemon/doctor/traced_packet.hpp"

#include <algorithm>
#include <array>
#include <ranges>
#include <utility>

namespace hanat {
namespace {

using nat::TraceStep;
using nat::TraceVerdict;

constexpr std::array<std::pair<const char*, Reached>, 6> milestones{{{nat::trace_to_routing, Reached::routing},
                                                                     {nat::trace_forwards, Reached::forward},
                                                                     {nat::trace_forwarded, Reached::forwarded},
                                                                     {nat::trace_delivers, Reached::input},
                                                                     {nat::trace_delivered, Reached::delivered},
                                                                     {nat::trace_leaves, Reached::left}}};

bool begins_packet(const TraceStep& step) {
  return step.kind == nat::TraceKind::rule &&
         (step.chain == nat::trace_begins || step.chain == nat::trace_begins_output || step.chain == nat::trace_begins_reply);
}

} // namespace

Reached reached_by(const TracedPacket& packet, const std::string& trace_table) {
  Reached reached = packet.steps.empty() ? Reached::nothing : Reached::begin;
  for (const TraceStep& step : packet.steps)
    for (const auto& [chain, milestone] : milestones)
      if (step.table == trace_table && step.chain == chain) reached = std::max(reached, milestone);
  return reached;
}

bool is_dropped(const TracedPacket& packet) { return !packet.steps.empty() && packet.steps.back().verdict == TraceVerdict::drop; }

bool is_over(const TracedPacket& packet, const std::string& trace_table) {
  const Reached reached = reached_by(packet, trace_table);
  return is_dropped(packet) || reached == Reached::delivered || reached == Reached::left;
}

bool belongs_to(const TracedPacket& packet, const nat::TracedClient& traced) {
  const auto of_request = [&](const nat::TracedHeader& header) {
    return header.from.address == traced.client && header.to.address == traced.vip.address &&
           header.protocol == static_cast<std::uint8_t>(traced.vip.protocol) && header.to.port >= traced.vip.port &&
           header.to.port <= last_port(traced.vip);
  };
  // Behind a translation of the source the client's address is in the reply's header only from dnat on.
  const auto of_reply = [&](const nat::TracedHeader& header) { return header.to.address == traced.client; };
  return std::ranges::any_of(packet.steps, [&](const TraceStep& step) {
    return step.header && (packet.reply ? of_reply(*step.header) : of_request(*step.header));
  });
}

void PacketCollector::add(TraceStep step, Clock::time_point now) {
  if (step.table == trace_table_ && begins_packet(step)) {
    if (packets_.size() >= packets_at_most) return;
    Collected& begun = packets_.emplace_back();
    begun.packet.reply = step.chain == nat::trace_begins_reply;
    begun.number = step.packet;
    begun.begun = now;
  }
  for (Collected& known : std::views::reverse(packets_)) {
    if (known.number != step.packet) continue;
    known.last = now;
    known.packet.steps.push_back(std::move(step));
    return;
  }
}

} // namespace hanat
