// Where --to-destination goes, and which ports of the server that are for a listener.
// Pure. Not here: rules (iptables_rules).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/import/model.hpp"

namespace hanat::cli::imports {

struct DnatTarget {
  Address address;
  Ports ports;            // first 0: that of the client's packet
  std::uint16_t base = 0; // of the client's ports, that the first of these stands for; 0: none was given
};
/// "10.0.0.11", "10.0.0.11:8443", "[fd00::11]:6000-6100/5000", "10.0.0.11-10.0.0.14:80". Empty: not of these forms.
std::vector<DnatTarget> dnat_targets(std::string_view text);

/// What the server gets, and what is different from before; empty: nothing is.
struct Fitting {
  Ports server;
  std::string why;
};
Fitting fit_ports(const std::vector<Listen>& listen, const DnatTarget& target);

/// The ports that are in both lists.
std::vector<Ports> common_ports(const std::vector<Ports>& one, const std::vector<Ports>& other);

} // namespace hanat::cli::imports
