// What is to be examined of a service, made from its configuration, and the flows that a client of it would open. Pure.
// Not here: opening them (synthetic_client), what they show (doctor).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/api/status.hpp"
#include "daemon/config/config.hpp"
#include "daemon/doctor/finding.hpp"
#include "daemon/doctor/synthetic_client.hpp"
#include "nat/address.hpp"
#include "nat/snat.hpp"

namespace hanat {

struct EndpointCheck {
  Vip vip;
  std::optional<Endpoint> server; // where its flows go
  nat::Snat snat;
  std::string payload; // of UDP; empty: none is known
};
/// A server that has no traffic now, and is to take over when it gets its turn.
struct OtherServer {
  std::string role;
  Vip vip;
  Endpoint endpoint; // where its flows would go
};
struct UnansweredClient {
  Endpoint client;
  Vip vip;
};
struct ServiceCheck {
  std::string name;
  std::vector<EndpointCheck> endpoints; // one of each family and protocol
  bool probes_pass = true;              // of its target; otherwise silence is no news
  bool clients_served = false;          // real clients have got replies just now: they outweigh hanatd's own
  std::optional<UnansweredClient> unanswered = std::nullopt;
  bool masquerades = false;                         // some server of it sees this gateway's own address
  std::vector<OtherServer> others{};                // for which settings and rules are looked at, too
  std::vector<Finding> known = {};                  // without an examination
  std::shared_ptr<const PairStatus> pair = nullptr; // of this gateway and another one; nullptr: it is alone, or is not asked about
};

/// `target`: nullptr where there is none.
ServiceCheck check_of(const ServiceConfig& service, const ServerConfig* target, bool probes_pass);

/// The servers that are not the target, by their role; one endpoint for each family and protocol.
std::vector<OtherServer> others_of(const ServiceConfig& service, const ServerConfig* target);

ClientFlow flow_of(const EndpointCheck& endpoint);

} // namespace hanat
