// The sentences about old flows: cut, draining, kept, or unexpected.
// Not here: services, servers, overrides (event_text), the daemon itself (event_text_daemon).
#include <cmath>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "daemon/report/event_sentences.hpp"

namespace hanat::events {
namespace {

/// Seconds, with one decimal where it is not zero.
double tenths(Clock::duration duration) { return std::round(std::chrono::duration<double>(duration).count() * 10) / 10; }

std::string_view to_text(FlowKind kind) {
  switch (kind) {
  case FlowKind::tcp: return "TCP";
  case FlowKind::non_tcp: return "UDP and SCTP";
  }
  return "?";
}

std::string_view to_text(DrainEnd end) {
  switch (end) {
  case DrainEnd::time: return "the drain time is over";
  case DrainEnd::silent: return "the server does not answer in time, and clients would wait for ever";
  case DrainEnd::dead: return "the server is down";
  case DrainEnd::no_target: return "no server has the traffic, and clients are turned away";
  case DrainEnd::given_up: return "the service or this listener is no longer configured";
  }
  return "?";
}

/// "41 TCP and 7 UDP flows", "no flows"
std::string counted(const nat::CutCount& cut) {
  std::vector<std::string> counts;
  for (const auto& [number, protocol] : {std::pair{cut.tcp, "TCP"}, std::pair{cut.udp, "UDP"}, std::pair{cut.sctp, "SCTP"}})
    if (number > 0) counts.push_back(fmt::format("{} {}", number, protocol));
  if (counts.empty()) return "no flows";
  std::string text = counts.front();
  for (std::size_t index = 1; index < counts.size(); ++index) text += (index + 1 == counts.size() ? " and " : ", ") + counts[index];
  const bool one = cut.tcp + cut.udp + cut.sctp == 1;
  return text + (one ? " flow" : " flows") + (cut.offloaded == 0 ? "" : fmt::format(" ({} offloaded to a flowtable)", cut.offloaded));
}

/// "primary": the flows of "web primary" without the name of the service, which stands before every sentence.
std::string_view server_of(const std::string& flows, const std::string& service) {
  const std::string_view text = flows;
  const bool own = !service.empty() && text.size() > service.size() + 1 && text.starts_with(service) && text[service.size()] == ' ';
  return own ? text.substr(service.size() + 1) : text;
}

} // namespace

std::string Sentences::operator()(const FlowsCut& cut) const {
  if (cut.busy > 0)
    return fmt::format("cut {} of {}; {} are left in a flowtable, from which this kernel deletes nothing", counted(cut.cut),
                       server_of(cut.flows, service_), cut.busy);
  if (cut.left > 0)
    return fmt::format(
        "cut {} of {}; {} {} left: such flows come back after each cut, so another rule may send clients there; see nft list "
        "ruleset",
        counted(cut.cut), server_of(cut.flows, service_), cut.left, cut.left == 1 ? "flow is" : "flows are");
  return fmt::format("cut {} of {}; conntrack is clean", counted(cut.cut), server_of(cut.flows, service_));
}

std::string Sentences::operator()(const CutCancelled& cut) const {
  if (cut.cut.tcp + cut.cut.udp + cut.cut.sctp == 0)
    return fmt::format("old flows of {} are no longer cut: they stay where they are", server_of(cut.flows, service_));
  return fmt::format("old flows of {} are no longer cut: {} were, the rest stay where they are", server_of(cut.flows, service_),
                     counted(cut.cut));
}

std::string Sentences::operator()(const DrainBegun& drain) const {
  if (!drain.lasts)
    return fmt::format("old {} flows of {} are kept where they are until they end", to_text(drain.kind), server_of(drain.flows, service_));
  return fmt::format("old {} flows of {} drain: those that are left in {} s are cut", to_text(drain.kind), server_of(drain.flows, service_),
                     tenths(*drain.lasts));
}

std::string Sentences::operator()(const DrainChanged& drain) const {
  const std::string when =
      drain.lasts > Clock::duration::zero() ? fmt::format("drain for another {} s now", tenths(drain.lasts)) : "drain no longer";
  return fmt::format("old {} flows of {} {}: {} said so", to_text(drain.kind), server_of(drain.flows, service_), when, drain.by);
}

std::string Sentences::operator()(const DrainVoid& drain) const {
  return fmt::format("{} has the traffic again: its old {} flows stay", server_of(drain.flows, service_), to_text(drain.kind));
}

std::string Sentences::operator()(const Drained& drain) const {
  return fmt::format("{} has drained: no old {} flow is left after {} s, {} ended by themselves", server_of(drain.flows, service_),
                     to_text(drain.kind), tenths(drain.took), drain.ended);
}

std::string Sentences::operator()(const DrainEnded& drain) const {
  if (drain.others_stay)
    return fmt::format("some flows of {}, {} over {} s, are cut now: {}; the others stay", server_of(drain.flows, service_),
                       drain.kept ? "kept" : "drained", tenths(drain.took), to_text(drain.end));
  const std::string left = drain.left ? fmt::format("{} flow{}", *drain.left, *drain.left == 1 ? "" : "s") : std::string{"all flows"};
  return fmt::format("{} of {}, {} over {} s, {} cut now: {}", left, server_of(drain.flows, service_), drain.kept ? "kept" : "drained",
                     tenths(drain.took), drain.left == 1U ? "is" : "are", to_text(drain.end));
}

std::string Sentences::operator()(const UnexpectedFlows& found) const {
  const std::string where = found.server ? fmt::format("to {}", hanat::to_text(*found.server)) : "untranslated, to no server";
  return fmt::format("found {} unexpected flow{} ({}{}): {} cut now", found.number, found.number == 1 ? "" : "s", where,
                     found.several_servers ? " and others" : "", found.number == 1 ? "it is" : "they are");
}

std::string Sentences::operator()(const ForeignFlows& found) const {
  return fmt::format(
      "{} flow{} of {} {} again {}, after such flows were cut: another program's rule sends clients there; hanatd leaves them "
      "alone",
      found.number, found.number == 1 ? "" : "s", hanat::to_text(found.vip), found.number == 1 ? "is" : "are",
      found.server ? fmt::format("at {}", hanat::to_text(*found.server)) : "untranslated");
}

std::string Sentences::operator()(const FlowsNotRecorded& flows) const {
  return fmt::format("flows of {} are not cut: the kernel gave no complete list of them ({}); those that are in the way can be deleted by "
                     "hand: conntrack -D -d {}",
                     server_of(flows.flows, service_), flows.error.empty() ? "each dump was interrupted" : flows.error,
                     flows.vip.address.text());
}

std::string Sentences::operator()(const ConntrackFailed& failure) const {
  return fmt::format("{} conntrack entries failed: {}; trying again in {} s", failure.counting ? "counting" : "cutting", failure.error,
                     failure.retry_after.count());
}

} // namespace hanat::events
