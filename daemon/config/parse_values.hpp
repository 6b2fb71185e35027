// Parses the strings of the configuration: durations, servers, listeners, addresses, time windows, HTTP status codes. Each parser returns
// the value, or an error with the remedy. Not here: the location of the string (toml_reader).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "daemon/config/config.hpp"
#include "daemon/config/diagnostics.hpp"

namespace hanat::config {

/// The value, or what is wrong with the text and the remedy.
template <class T> using Parsed = std::variant<T, Error>;

inline constexpr Clock::duration day = std::chrono::hours{24};

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

struct DurationLimits {
  Clock::duration least, most;
  std::string_view example; // a usual value, for messages
};
/// `name` is the key's, for messages.
Parsed<Clock::duration> parse_duration(std::string_view text, std::string_view name, const DurationLimits& limits);
/// "02:00-04:00"
Parsed<DayWindow> parse_day_window(std::string_view text);
/// "reset", "drain 60s", "keep"; `name` is the key's.
Parsed<FlowPolicy> parse_flow_policy(std::string_view text, std::string_view name);
/// "204" or "200-299"
/// `key`: "status" or "full".
Parsed<probes::StatusRange> parse_status(std::string_view key, std::string_view text);

enum class AddressUse : std::uint8_t { listener, server, snat, probe_address, probe_source };
/// Why a server cannot have this address, as in "is a loopback address"; empty: it can.
std::string_view unusable_for_server(const Address& address);
/// An address without a port: snat, probe.address, probe.source.
Parsed<Address> parse_single_address(std::string_view text, AddressUse use);
/// The address and ports of a server.
struct ServerPorts {
  Endpoint endpoint;      // port 0: none was given
  std::uint16_t last = 0; // last port of a range; 0: not a range
};
/// "10.0.0.11:8443", "[fd00::11]:8443", "10.0.0.11:6000-6100"
Parsed<ServerPorts> parse_server(std::string_view text);
/// "db1.lan:5432". nullopt: this is no name, but an address, or was meant to be one.
std::optional<Parsed<HostName>> parse_host(std::string_view text);

/// A range of at most this many ports becomes single endpoints, one element of the kernel's map each. A longer range is one element.
inline constexpr std::uint32_t most_exact_ports = 1'024;

/// The addresses of an interface, of one family or both.
struct InterfaceName {
  std::string name;                  // "eth0"
  std::optional<Family> family = {}; // nullopt: the families of the servers
};
/// One entry of `listen`: the ports first..last of an address, or of an interface.
struct Listener {
  Address address; // without an interface
  Protocol protocol = Protocol::tcp;
  std::uint16_t first = 0, last = 0;
  std::string text; // as written in the file
  std::optional<InterfaceName> interface = {};
  std::uint32_t ports() const { return last - first + 1U; }
  /// Of an interface of no certain family: both.
  bool may_have(Family family) const { return interface ? !interface->family || *interface->family == family : address.family() == family; }
};
/// "203.0.113.10:443/tcp", "203.0.113.10:5000-5100/udp", "203.0.113.10:*/tcp", "eth0:443/tcp", "ipv4@eth0:443/tcp"
Parsed<Listener> parse_listener(std::string_view text);
/// "eth0", "ipv4@eth0". nullopt: this is no name of an interface, but an address, or was meant to be one. `text`: the whole entry.
std::optional<Parsed<InterfaceName>> parse_interface(std::string_view host, std::string_view text);
/// A label of ifconfig's times, "eth0:1", in an entry "eth0:1:443/tcp".
std::optional<Error> label_error(std::string_view text);

/// [A-Za-z0-9_.-]{1,64}: names are used unescaped in nftables comments, JSON and on terminals.
bool is_service_name(std::string_view name);

} // namespace hanat::config
