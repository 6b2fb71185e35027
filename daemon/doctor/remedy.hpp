// The command that lets a service's packets pass a chain of another program, in the words of the program whose chain it is: nft, iptables,
// ufw, firewalld, Docker. Pure. Not here: which chain is in the way (culprit, rule_checks).
#pragma once

#include <string>

#include "nat/address.hpp"
#include "nat/nftables/foreign_rules.hpp"

namespace hanat {

/// A packet in the way of which a chain is.
struct Obstructed {
  nat::ChainName base; // the base chain
  nat::Hook hook = nat::Hook::forward;
  bool by_ufw = false, by_docker = false; // whose chains the base chain jumps to
  Vip vip;
  Endpoint server;         // what the virtual endpoint is translated to
  bool translated = false; // at this chain the packet has the server's address
  bool reply = false;
};

std::string remedy_for(const Obstructed& obstructed);

/// iptables-nft made the table: its rules belong to iptables.
bool is_of_iptables(const nat::ChainName& chain);
/// "ip filter FORWARD rule 3 \"no guests\"", "inet fw forward rule 2 (handle 7)": as the program that lists the chain counts.
std::string rule_name(const nat::ChainName& chain, const nat::ForeignRule& rule);
/// Shows the chain with its rules' positions.
std::string show_command(const nat::ChainName& chain);

} // namespace hanat
