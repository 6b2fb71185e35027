// The flows of a service, by server and state, as conntrack has them; with their JSON. Not here: counting them (failover/flow_lister), the
// text (cli/show_connections).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace hanat {

/// Of one server. `opened_by_server` and `offloaded` count flows that are among the others, too.
struct ConnectionCounts {
  std::uint64_t opening = 0, established = 0, closing = 0; // TCP
  std::uint64_t answered = 0, unanswered = 0;              // UDP and SCTP
  std::uint64_t opened_by_server = 0, offloaded = 0;
  std::uint64_t total() const { return opening + established + closing + answered + unanswered; }
  /// Those that end badly when the server is unplugged.
  std::uint64_t live() const { return total() - closing; }
  bool operator==(const ConnectionCounts&) const = default;
};
struct ConnectionServer {
  std::string role, address, health;  // role: empty, of a server that is not in the configuration
  bool target = false;                // it gets new connections
  bool disabled = false;              // it is never chosen
  std::string leaving;                // "drain", "keep", "cut": what happens to its flows; empty: nothing
  std::optional<double> ends_in_s;    // of a drain
  std::optional<double> returns_in_s; // until it gets new connections again, if all goes well; absent: it does not by itself
  ConnectionCounts counts;
  std::vector<std::string> also_target_of; // other services that send new connections to this address
  bool operator==(const ConnectionServer&) const = default;
};
/// One flow.
struct ConnectionEntry {
  std::string client, listen, server, state;
  bool opened_by_server = false, offloaded = false;
  bool operator==(const ConnectionEntry&) const = default;
};
struct ConnectionsReport {
  std::string service;
  double took_ms = 0;
  std::string on_forced = {};            // what becomes of its connections when it is forced to another server: "reset", "drain 1m", "keep"
  bool observed = false;                 // mode observe: other rules may send its connections
  std::vector<ConnectionServer> servers; // in the order of the configuration, others behind them
  std::vector<ConnectionEntry> list;     // some of the flows, as many as were asked for
};

void to_json(nlohmann::json& json, const ConnectionsReport& report);
/// Throws nlohmann::json::exception when a key is missing or has another type.
void from_json(const nlohmann::json& json, ConnectionsReport& report);

} // namespace hanat
