// Whether a rule of any program matches the first packet of a client, as far as the rule can be read: yes, no, or maybe. Pure.
// Not here: reading rules (nat/nftables/rule_parser), what follows from it (rule_checks).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "nat/address.hpp"
#include "nat/nftables/rule_parser.hpp"

namespace hanat {

/// The first packet of a flow at one hook: what is known of it.
struct PacketModel {
  Protocol protocol = Protocol::tcp;
  Endpoint to;                    // at this hook; port 0: any
  std::optional<Address> vip{};   // translated: what the client connected to
  std::optional<std::string> oif; // known only behind routing
  bool local = false;             // of a client on the gateway
};

enum class Matches : std::uint8_t { no, maybe, yes };

Matches match(const nat::Condition& condition, const PacketModel& packet);
Matches match(const nat::ForeignRule& rule, const PacketModel& packet);
/// Whether a condition of the rule names the packet's destination: a rule that matches maybe is then likely meant for it.
bool names_destination(const nat::ForeignRule& rule, const PacketModel& packet);

} // namespace hanat
