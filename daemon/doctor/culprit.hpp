// Names what became of a traced packet: which rule or policy dropped, rejected or translated it, or between which two moments of its life
// it was lost without a rule. Pure. Not here: tracing (tracer), rules that might be in the way (rule_checks), settings of the gateway.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "daemon/doctor/finding.hpp"
#include "daemon/doctor/traced_packet.hpp"
#include "nat/address.hpp"
#include "nat/nftables/foreign_rules.hpp"

namespace hanat {

/// Whose packets were traced.
struct TraceContext {
  std::string service;
  nat::TracedClient traced;
  std::vector<Endpoint> servers; // of the service; port 0: the client's
  std::string table;             // hanat's own
  bool own_client = false;       // hanatd's: rules about interfaces may be about that alone
};

/// Where the packets came and went, for what a trace cannot tell: routes, neighbours, the server.
struct Passage {
  Reached request = Reached::nothing, reply = Reached::nothing; // the furthest of each
  std::string came_by, left_by;                                 // interfaces of the request
  std::optional<Endpoint> sent_to{};                            // the request's destination at the end
  bool operator==(const Passage&) const = default;
};
Passage passage_of(const std::vector<TracedPacket>& packets, const std::string& table);

/// What the newest packet that did not arrive met; nullopt: all arrived (or none was seen), so no rule did it.
std::optional<Finding> culprit_of(const std::vector<TracedPacket>& packets, const nat::ForeignRuleset& ruleset,
                                  const TraceContext& context);

/// The chains whose rules culprit_of() needs: for the position and comment of a rule; and of a policy that drops, for what it would accept.
std::set<nat::ChainName> chains_in(const std::vector<TracedPacket>& packets, const std::string& trace_table);

} // namespace hanat
