// "server NAME ADDRESS ..." and "bind ADDRESS ..." of haproxy.cfg.
// Pure. Not here: health checks (haproxy_checks).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/import/haproxy_sections.hpp"
#include "cli/import/model.hpp"

namespace hanat::cli::imports {

/// "agent-check", "agent-port" and what belongs to them.
struct AgentCheck {
  bool on = false;
  std::optional<std::uint16_t> port;
  std::optional<milliseconds> interval;
  std::optional<Address> address;
  std::string send;
};
/// What of a server's or a default-server's parameters concerns hanat.
struct ServerParameters {
  bool check = false, backup = false, disabled = false, tls = false, check_tls = false, verify = true, proxy_protocol = false,
       client_address = false;
  std::optional<milliseconds> interval, fast_interval, down_interval;
  std::optional<unsigned> fails, passes;
  std::optional<std::uint16_t> port;
  std::optional<Address> address;
  AgentCheck agent;
  std::string host; // check-sni
  std::optional<unsigned> weight;
  std::vector<std::string> lost; // parameters with no counterpart, in their words
};
/// Reads from argument `from` on, over `parameters`, which are the defaults.
void read_parameters(const ConfigLine& line, std::size_t from, ServerParameters& parameters);

/// An address with a port as haproxy writes it; "*" and an empty host are any.
struct ProxyAddress {
  bool any = false;                 // of both families
  std::optional<Family> any_family; // of this one alone
  std::optional<Address> address;
  Ports ports;
  std::string why; // it is none; empty: it is one
};
ProxyAddress proxy_address(std::string_view text);

/// "2s", "500" (milliseconds), "1m"
std::optional<milliseconds> haproxy_time(std::string_view text);

struct Bind {
  std::vector<Listen> listen;
  bool tls = false;
};
/// Adds to `notes` what is lost.
Bind read_bind(const ConfigLine& line, const std::vector<Address>& any, std::vector<Note>& notes);

} // namespace hanat::cli::imports
