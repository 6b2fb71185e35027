// What is wrong with the way of a service's clients, as a value: what it is, what it does, and the command that mends it. Not here: how it
// is found (the other files of this folder).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace hanat {

enum class Severity : std::uint8_t {
  note,    // works today; somebody should know
  warning, // a trap that has not closed yet, or may be meant so
  problem, // clients are not served because of it
};
std::string_view to_text(Severity severity);

/// Whose packet showed it.
enum class Witness : std::uint8_t {
  none, // a setting, or rules as they were read
  real_client,
  own_client,
};

struct Finding {
  Severity severity = Severity::problem;
  std::string code;    // one word of a documented list, e.g. "forward-drop", "ip-forward-off", "rp-filter", "no-return-route"
  std::string service; // empty: of the gateway as a whole
  std::string what;    // one line, e.g. "dropped by ip filter FORWARD, policy drop"
  std::string remedy;  // one command or one line; empty only where nothing can be done on this machine
  std::string seen_by; // whose packet showed it, e.g. "client 198.18.0.7 by eth0", "hanatd's own client by veth hanat-c"; empty: a setting
  Witness witness = Witness::none;
  bool client_only = false; // about the client that met it, as a list of blocked addresses is: it says nothing about others
  bool operator==(const Finding&) const = default;
};

} // namespace hanat
