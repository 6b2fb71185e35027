// What this machine's settings and routes do to clients, as findings, each with the command that mends it. Pure.
// Not here: reading them (read_host), sending (synthetic_client), rules of nftables (trace).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "daemon/doctor/finding.hpp"
#include "daemon/doctor/host_facts.hpp"
#include "daemon/doctor/synthetic_client.hpp"
#include "nat/snat.hpp"

namespace hanat {

/// One client and one virtual endpoint.
struct CheckedPath {
  std::string service;
  Vip vip;
  std::optional<Endpoint> server; // the target; nullopt: none, or not known
  nat::Snat snat;
  Endpoint client;
  std::string seen_by; // "client 192.0.2.7", "hanatd's own client by hanat-c0"
  bool own_client = true;
  PathFacts path;
  // Of hanatd's own client; nullopt: nothing was sent, settings are looked at alone.
  std::optional<FlowResult> result;
  bool server_pings = false;  // it answers a ping of that client
  bool culprit_known = false; // a rule was found that does it: effects need no second reason
};

/// A server, by its role where it is not the one that has the traffic.
struct CheckedServer {
  std::string service, role;
  Endpoint endpoint;
};
/// A server that may have to take over and cannot be reached, as a warning; nullopt: it can, by all that is seen here.
std::optional<Finding> check_other_server(const HostFacts& host, const CheckedServer& server, const RouteFacts& route);

/// Forwarding that is off altogether, of each family in which some server is not on this machine.
std::vector<Finding> check_forwarding(const HostFacts& host, const std::vector<Address>& servers);
/// Settings that harm every service, or that of the path.
std::vector<Finding> check_settings(const HostFacts& before, const HostFacts& after, const CheckedPath& path);
/// Why the packets of this flow got no reply, when no rule did it; empty where they did.
std::vector<Finding> check_flow(const HostFacts& before, const HostFacts& after, const CheckedPath& path);

} // namespace hanat
