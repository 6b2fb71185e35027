// The sentences about the other gateway of a pair. Not here: those about the role.
#include <string>

#include <fmt/format.h>

#include "daemon/api/pair_texts.hpp"
#include "daemon/report/event_sentences.hpp"
#include "daemon/util/duration.hpp"

namespace hanat::events {
namespace {

std::string role_text(const std::string& role) {
  if (role == "active") return "it is the active one";
  if (role == "standby") return "it is the standby";
  return role == "settling" ? "it has just become the active one" : fmt::format("its role is {}", role);
}

/// " by root for 30m (new disk)"
std::string who_and_why(const PeerListed& listed) {
  return fmt::format("{}{}{}", listed.by.empty() ? "" : " by " + listed.by, listed.lasts ? " for " + duration_text(*listed.lasts) : "",
                     listed.reason.empty() ? "" : fmt::format(" ({})", listed.reason));
}

} // namespace

std::string Sentences::operator()(const PeerSeen& seen) const {
  if (!seen.missed) return fmt::format("the other gateway ({}) answers: {}", seen.peer, role_text(seen.role));
  return fmt::format("the other gateway ({}) answers again after {}: {}", seen.peer, duration_text(*seen.missed), role_text(seen.role));
}

std::string Sentences::operator()(const PeerLost& lost) const {
  return fmt::format("the other gateway ({}) does not answer: {}; {}", lost.peer, lost.why,
                     lost.active ? "this one is active and acts alone"
                                 : "this one keeps to what it was last told, and takes over when it gets the pair's address");
}

std::string Sentences::operator()(const PeerRefused& refused) const {
  return fmt::format("somebody other than the other gateway wanted to read the pair's state, and was refused: {}", refused.client);
}

std::string Sentences::operator()(const PeerNotServed& served) const {
  return fmt::format("the other gateway cannot be served: {}; it learns nothing of this one until that is mended and hanatctl reload",
                     served.error);
}

std::string Sentences::operator()(const PeerListed& listed) const {
  const std::string server = full_name(listed.server);
  switch (listed.what) {
  case PeerListed::What::forced: return fmt::format("forced to {} on the active gateway{}: noted here, too", server, who_and_why(listed));
  case PeerListed::What::disabled:
    return fmt::format("{} is disabled on the active gateway{}: noted here, too", server, who_and_why(listed));
  case PeerListed::What::unforced:
    if (listed.dropped)
      return fmt::format("the override to {}{}, which was made on this gateway, is dropped: the list of the active gateway holds, and has "
                         "none; force it again there if it is still wanted",
                         server, who_and_why(listed));
    return fmt::format("the override to {}{} was ended on the active gateway, and here, too", server, who_and_why(listed));
  case PeerListed::What::enabled:
    if (listed.dropped)
      return fmt::format("{} was disabled on this gateway{}, and is enabled again: the list of the active gateway holds, and has it "
                         "enabled; disable it there if that is still wanted",
                         server, who_and_why(listed));
    return fmt::format("{} was enabled again on the active gateway, and here, too", server);
  }
  return {};
}

std::string Sentences::operator()(const PeerDiffers& differs) const {
  return fmt::format("the configurations of the two gateways differ: {}{}; write the same services on both, then hanatctl reload",
                     differs.first, differs.number > 1 ? fmt::format(", and {} more (hanatctl status)", differs.number - 1) : "");
}

std::string Sentences::operator()(const PeerAgrees&) const { return "the configurations of the two gateways have the same services now"; }

std::string Sentences::operator()(const PairSplit& split) const {
  return fmt::format("both gateways are active, this one and {}: each acts alone, because {}; {}", split.peer, split_text, split_remedy);
}

std::string Sentences::operator()(const PairJoined& joined) const {
  return fmt::format("one gateway is active again, after {} with two: {}", duration_text(joined.lasted),
                     joined.standby ? "the other one; this one takes over its list of overrides and disabled servers"
                                    : "this one; the other one takes over its list of overrides and disabled servers");
}

std::string Sentences::operator()(const PairIdle& idle) const {
  if (idle.lasted) return fmt::format("a gateway is active again, after {} without", duration_text(*idle.lasted));
  return fmt::format("no gateway is active, neither this one nor {}: clients reach nobody; {}", idle.peer, idle_remedy);
}

std::string Sentences::operator()(const ConntrackdChanged& changed) const {
  const PairSide side{.peer = changed.peer, .standby = changed.standby};
  const bool behind = changed.state == FlowSync::behind;
  if (behind || changed.state == FlowSync::absent)
    return fmt::format("{}; {}", conntrackd_text(behind, side), conntrackd_remedy(behind, side));
  return fmt::format("conntrackd {} again{}",
                     changed.standby ? "takes the active gateway's connections" : "carries connections to the other gateway",
                     changed.peer.empty() ? "" : fmt::format(", on {}", changed.peer));
}

std::string Sentences::operator()(const KeepalivedChanged& changed) const {
  const PairSide side{.peer = changed.peer, .standby = changed.standby};
  if (changed.state == Vrrp::absent) return fmt::format("{}; {}", keepalived_dead_text(side), keepalived_remedy(side));
  return fmt::format("keepalived speaks VRRP again{}", changed.peer.empty() ? "" : fmt::format(" on the other gateway ({})", changed.peer));
}

std::string Sentences::operator()(const CommandForwarded& command) const {
  if (command.failure.empty())
    return fmt::format("\"hanatctl {}\" by {} was carried out by the active gateway ({}); this one is the standby", command.command,
                       command.by, command.peer);
  return fmt::format("\"hanatctl {}\" by {} was not carried out: {}", command.command, command.by, command.failure);
}

} // namespace hanat::events
