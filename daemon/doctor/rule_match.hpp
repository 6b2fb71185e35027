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
/// Whether the rule asks for the address at the client's end, as a list of blocked addresses does. `reply`: of a packet that goes to the
/// client.
bool asks_for_client(const nat::ForeignRule& rule, bool reply);
/// The same, or it has a condition of nft that may do so, such as a rate of each address.
bool may_ask_for_client(const nat::ForeignRule& rule, bool reply);
/// Whether it asks for the interface at the client's end, by which a packet came or a reply leaves, so that hanatd's own client may meet it
/// otherwise than real ones.
bool asks_for_interface(const nat::ForeignRule& rule, bool reply);
/// Whether a condition of the rule names the packet's destination: a rule that matches maybe is then likely meant for it.
bool names_destination(const nat::ForeignRule& rule, const PacketModel& packet);

} // namespace hanat
