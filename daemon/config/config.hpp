// The validated configuration as values. Other modules rely on it without further checks.
// Not here: reading it (load_config), applying it (failover/reload), its syntax (man page hanat.toml.5).
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/config/hook_config.hpp"
#include "daemon/config/peer_config.hpp"
#include "daemon/util/shared.hpp"
#include "nat/address.hpp"
#include "nat/clock.hpp"
#include "nat/probe_ports.hpp"
#include "nat/snat.hpp"
#include "probes/result.hpp"

namespace hanat {

struct DownRule { // down = { fails, within }
  unsigned fails = 3;
  Clock::duration within = std::chrono::seconds{10};
  bool operator==(const DownRule&) const = default;
};
struct UpRule { // up = { passes, stable_for }
  unsigned passes = 2;
  Clock::duration stable_for = std::chrono::seconds{5};
  bool operator==(const UpRule&) const = default;
};
/// Minutes since local midnight, [from, to). from > to: the window includes midnight.
struct DayWindow {
  std::chrono::minutes from{}, to{};
  bool operator==(const DayWindow&) const = default;
};
struct Failback {
  bool automatic = true;   // false: "manual"
  Clock::duration after{}; // how long the preferred server must have been up
  std::optional<DayWindow> window;
  Clock::duration penalty = std::chrono::minutes{10}; // the longest wait of a server that keeps losing the traffic; zero: no such wait
  bool operator==(const Failback&) const = default;
};
enum class OnNone : std::uint8_t { refuse, drop, keep };
/// What happens to flows to the old target: cut at once, cut after a time, or left alone.
enum class FlowAction : std::uint8_t { reset, drain, keep };
struct FlowPolicy {
  FlowAction action = FlowAction::reset;
  Clock::duration time{}; // length of a drain
  bool operator==(const FlowPolicy&) const = default;
};
enum class OnStop : std::uint8_t { keep, remove };
/// observe: hanat probes, decides and logs, but changes nothing in the kernel for the service.
enum class Mode : std::uint8_t { automatic, observe };

/// Of a server that is configured by its name.
enum class Lookup : std::uint8_t {
  pending,  // nobody has answered yet: nothing is known of the server
  failed,   // it has no address, and never had one
  resolved, // its addresses are those of the last good answer
};
struct HostName {
  std::string name;       // "db1.lan", in small letters
  std::uint16_t port = 0; // 0: the port of the listener
  Lookup lookup = Lookup::pending;
  bool operator==(const HostName&) const = default;
};
/// "db1.lan:5432", as it is configured.
std::string to_text(const HostName& host);

struct ServerConfig {
  std::string role;                // "primary", "backup", "backup2", ...
  std::vector<Endpoint> addresses; // at most one per family; port 0: the port of the listener; none: of a name without an address
  nat::Snat snat;
  std::vector<probes::ProbeSpec> probes;
  std::map<Vip, std::uint16_t> mapped{}; // listener range to the first port of the server's range
  std::optional<HostName> host{};        // that its addresses come from (daemon/names); nullopt: they are configured
  bool operator==(const ServerConfig&) const = default;
};

/// An entry of `listen` that names an interface: the service listens on the addresses that the interface has now.
struct InterfaceListener {
  std::string interface;      // "eth0"
  std::string text;           // as written in the file
  std::vector<Vip> endpoints; // of each family and port; in place of an address they have the unspecified one of the family
  bool operator==(const InterfaceListener&) const = default;
};

struct ServiceConfig {
  std::string name;
  std::vector<Vip> listen;              // small ranges are expanded to single ports; with the addresses that interfaces have now
  std::vector<std::string> listen_text; // as written in the file, for status
  std::vector<ServerConfig> servers;    // the primary, then the backups in their order
  DownRule down;
  UpRule up;
  Failback failback;
  FlowPolicy on_failover = {};
  FlowPolicy on_failback = {};
  FlowPolicy on_forced = {.action = FlowAction::drain, .time = std::chrono::seconds{60}}; // and at moves by a reload
  OnNone on_none = OnNone::refuse;
  Clock::duration none_after = std::chrono::seconds{3}; // that all servers are silent is not believed before; zero: at once
  std::optional<Endpoint> witness = {};                 // answers when the way out of this gateway works; port 0: an echo
  bool hold = true;     // drop the first refusal of a server that may be failing, so that the client tries again
  bool nudge = true;    // TCP: notify idle clients of a flip
  bool offload = false; // established flows are forwarded by a flowtable
  Mode mode = Mode::automatic;
  HookConfig hook = {};                           // told of where new connections go
  std::string group = {};                         // services of a group move together; empty: no group
  std::vector<InterfaceListener> interfaces = {}; // whose addresses are added to `listen` (daemon/interfaces)
  std::vector<Vip> pattern = {}; // `listen` as it was written, endpoints of interfaces in their place; empty: no interfaces
  bool operator==(const ServiceConfig&) const = default;
};

/// The families, protocols and ports that the service listens on, in the order of the file, whether or not its interfaces have addresses.
inline const std::vector<Vip>& listening_ports(const ServiceConfig& service) {
  return service.interfaces.empty() ? service.listen : service.pattern;
}
/// The endpoint where a server serves a VIP: the server's address of the VIP's family, and the VIP's port if the server has none (0 for a
/// range: each flow keeps its port). nullopt: no address of that family.
std::optional<Endpoint> endpoint_for(const ServerConfig& server, const Vip& vip);
/// Whether the server serves something at this endpoint. Port 0 matches any port.
bool serves_at(const ServerConfig& server, const Endpoint& at);

/// How hanatd finds out whether clients get an answer: path_check = "clients", "off", or an interval.
struct PathCheck {
  bool clients = true;                                    // by what its real clients send; false: "off"
  std::optional<Clock::duration> interval = std::nullopt; // beside it a check of hanatd's own, so often
  bool operator==(const PathCheck&) const = default;
};

/// [pair]: this gateway is one of two that share addresses. Another program moves the addresses, and another one the connections.
struct PairConfig {
  Address address;                                  // of clients: this gateway is active while it has it
  Clock::duration settle = std::chrono::seconds{2}; // the longest wait for `hanatctl settled`; zero: none
  std::string track_file = {};                      // tells whether this gateway reaches a server; empty: no file
  std::optional<PeerConfig> peer = {};              // nullopt: only the role; nothing is shared
  bool operator==(const PairConfig&) const = default;
};

struct Config {
  OnStop on_stop = OnStop::keep;
  std::string operators;                                // group that may use commands that change something; empty: only root
  Clock::duration reconcile = std::chrono::seconds{60}; // interval of the conntrack audit
  std::optional<Endpoint> metrics;                      // where the metrics are served
  std::optional<Endpoint> resolver = {};                // of names; nullopt: those of /etc/resolv.conf
  PathCheck path_check = {};
  nat::ProbePorts probe_ports = {}; // source ports of probes while conntrack is full
  std::optional<PairConfig> pair = {};
  HookConfig hook = {}; // told of everything
  std::vector<Shared<ServiceConfig>> services;
  bool operator==(const Config&) const = default;
};

/// The settings of [hanatd] and [pair]: without services.
Config settings_of(const Config& config);
/// The keys of [hanatd] and [pair] whose values differ.
std::vector<std::string> changed_settings(const Config& before, const Config& after);

} // namespace hanat
