// Writes one nf_tables rule, expression by expression, in the same shape in which `nft` compiles it and the kernel dumps it: that is what
// makes a golden test and a comparison with the loaded rule possible. Not here: which rules there are (layout).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "nat/address.hpp"
#include "nat/handles.hpp"

namespace hanat::nat {

/// A 32-bit register by its index, 0..15. Numbered as the kernel dumps it: the first of each 16 bytes by its old name (1..4).
constexpr std::uint32_t reg(unsigned index) { return index % 4 == 0 ? 1 + index / 4 : 8 + index; }

/// How many registers an address of the family takes.
constexpr unsigned words_of(Family family) { return family == Family::ipv4 ? 1 : 4; }

class RuleWriter {
public:
  RuleWriter(const std::string& table, const std::string& chain, const std::string& comment);

  RuleWriter& only(Family family); // meta nfproto
  RuleWriter& only_tcp();          // meta l4proto tcp
  RuleWriter& load_daddr(Family family, unsigned index);
  RuleWriter& load_saddr(Family family, unsigned index);
  RuleWriter& load_sender(Family family, unsigned index);           // ip saddr . th sport
  RuleWriter& load_vip_key(Family family, unsigned index = 0);      // ip daddr . meta l4proto . th dport
  RuleWriter& load_original_vip(Family family, unsigned index = 0); // the same of the flow's first packet, before translation
  RuleWriter& load_original_vip_of_error(Family family);            // the same for an ICMP error, by the flow that it is about
  RuleWriter& load_original_tuple(Family family); // client and virtual endpoint: saddr . sport . daddr . dport of the first packet
  RuleWriter& load_dport(unsigned index);
  RuleWriter& load_protocol(unsigned index);                     // meta l4proto
  RuleWriter& load_entry(unsigned index);                        // meta iif; 0 for the gateway's own packets
  RuleWriter& load_exit(unsigned index);                         // meta oif
  RuleWriter& load_reply_address(Family family, unsigned index); // ct reply ip saddr: the machine of the flow's server
  RuleWriter& load_reply_source(Family family, unsigned index);  // ct reply ip saddr . ct reply proto-src: the flow's server
  RuleWriter& ct_state(std::uint32_t mask);
  RuleWriter& ct_status(std::uint32_t mask, std::uint32_t value); // of these bits, exactly `value`
  RuleWriter& in_direction(std::uint8_t direction);
  RuleWriter& in_reply_direction();
  RuleWriter& no_tcp_flags(std::uint8_t mask);                        // none of them set
  RuleWriter& tcp_flags(std::uint8_t mask, std::uint8_t value);       // of these flags, exactly `value`
  RuleWriter& only_destination_unreachable(Family family);            // ICMP or ICMPv6
  RuleWriter& dport_between(std::uint16_t first, std::uint16_t last); // of whatever has ports there
  RuleWriter& packet_mark(std::uint32_t mark);
  RuleWriter& socket_mark(std::uint32_t mark); // of a socket of this machine that the packet is for
  RuleWriter& in_set(const std::string& set);  // looked up by register 0
  RuleWriter& not_in_set(const std::string& set);
  RuleWriter& add_to_set(const std::string& set); // the key in register 0, with the set's timeout; a full set ends the rule here
  RuleWriter& update_set(const std::string& set); // the same, and the time of a key that is there begins anew
  RuleWriter& limit(std::uint64_t per_second);    // so many packets, and at most as many at once
  RuleWriter& log(std::uint16_t group, const char* prefix);
  RuleWriter& notrack();
  RuleWriter& in_verdict_map(const std::string& map);
  RuleWriter& from_map(const std::string& map); // data into register 0
  RuleWriter& verdict(std::int32_t code, const std::string& chain = {});
  RuleWriter& reject_with_tcp_reset();
  RuleWriter& reject_port_unreachable();
  RuleWriter& dnat_address(Family family);                                            // to the address in register 0; the port is kept
  RuleWriter& dnat(Family family);                                                    // to the address and port in register 0 and following
  RuleWriter& snat(Family family, std::uint16_t first_port, std::uint16_t last_port); // to the address in register 0; fully random port
  RuleWriter& masquerade(std::uint16_t first_port, std::uint16_t last_port);          // fully random port

  RulePtr take() { return std::move(rule_); }

private:
  nftnl_expr* add(const char* name);
  RuleWriter& load_payload(std::uint32_t base, std::uint32_t offset, std::uint32_t length, unsigned index);
  RuleWriter& load_meta(std::uint32_t key, unsigned index);
  RuleWriter& load_ct(std::uint32_t key, std::uint8_t direction, unsigned index);
  RuleWriter& load_ct(std::uint32_t key, unsigned index);
  RuleWriter& compare(std::uint32_t operation, std::span<const std::uint8_t> bytes);
  RuleWriter& mask_and_compare(std::uint32_t operation, std::span<const std::uint8_t> mask, std::span<const std::uint8_t> value);
  RuleWriter& look_up(const std::string& set, std::optional<std::uint32_t> into, std::uint32_t flags = 0);
  RuleWriter& put_into_set(const std::string& set, std::uint32_t operation);
  RuleWriter& reject(std::uint32_t type, std::uint8_t code);
  void load_ports(std::uint16_t first_port, std::uint16_t last_port, unsigned index);

  RulePtr rule_;
};

/// The rule's comment and expressions as text, one expression a line; equal text means equal rules.
std::string describe(const nftnl_rule& rule);

} // namespace hanat::nat
