// Writes one nf_tables rule, expression by expression, in the form in which `nft` compiles it and the kernel dumps it. So a loaded rule can
// be compared with the intended one. Not here: which rules there are (ruleset).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "nat/address.hpp"
#include "nat/nftables/handles.hpp"

namespace hanat::nat {

/// The number of a 32-bit register, by its index 0..15. The kernel dumps the first of each 16 bytes with its 128-bit number (1..4).
constexpr std::uint32_t reg(unsigned index) { return index % 4 == 0 ? 1 + index / 4 : 8 + index; }

/// The number of registers that an address takes.
constexpr unsigned registers_of(Family family) { return family == Family::ipv4 ? 1 : 4; }

class RuleWriter {
public:
  RuleWriter(const std::string& table, const std::string& chain, const std::string& comment);

  RuleWriter& only(Family family); // meta nfproto
  RuleWriter& only_tcp();          // meta l4proto tcp
  RuleWriter& only(Protocol protocol);
  RuleWriter& not_tcp();
  RuleWriter& load_daddr(Family family, unsigned index);
  RuleWriter& load_saddr(Family family, unsigned index);
  RuleWriter& load_sender(Family family, unsigned index);             // ip saddr . th sport
  RuleWriter& load_vip_key(Family family, unsigned index = 0);        // ip daddr . meta l4proto . th dport
  RuleWriter& load_range_key(Family family);                          // ip daddr . meta l4proto
  RuleWriter& load_source_key(Family family);                         // ip saddr . meta l4proto . th sport
  RuleWriter& load_original_vip(Family family, unsigned index = 0);   // the same for the flow's first packet, before translation
  RuleWriter& load_original_range(Family family, unsigned index = 0); // the same without its port
  RuleWriter& load_original_range_of_error(Family family);
  RuleWriter& load_original_vip_of_error(Family family); // the same for an ICMP error, from the flow that it refers to
  RuleWriter& load_client_tuple(Family family);          // saddr . sport . daddr . dport of a client's packet
  RuleWriter& load_original_tuple(Family family);        // client and virtual endpoint: saddr . sport . daddr . dport of the first packet
  RuleWriter& load_client_and_vip(Family family);        // saddr . daddr . meta l4proto . th dport of a client's packet
  RuleWriter&
      load_original_client_and_vip(Family); // the same for the flow's first packet; of an ICMP error, from the flow that it refers to
  RuleWriter& load_dport(unsigned index);
  RuleWriter& load_protocol(unsigned index); // meta l4proto
  RuleWriter& load_family();                 // meta nfproto
  RuleWriter& load_iif(unsigned index);      // 0 for the gateway's own packets
  RuleWriter& load_oif(unsigned index);
  RuleWriter& load_zero(); // the key of a set with one element: 0 for every packet, as nft knows no constant key
  RuleWriter& load_reply_address(Family family, unsigned index); // ct reply ip saddr: the address of the flow's server
  RuleWriter& load_reply_source(Family family, unsigned index);  // ct reply ip saddr . ct reply proto-src: the flow's server
  RuleWriter& ct_state(std::uint32_t mask);
  RuleWriter& ct_status(std::uint32_t mask, std::uint32_t value); // exactly `value` of these bits
  RuleWriter& ct_status_any(std::uint32_t mask);                  // any of these bits
  RuleWriter& in_direction(std::uint8_t direction);
  RuleWriter& in_reply_direction();
  RuleWriter& no_tcp_flags(std::uint8_t mask);                  // none of them set
  RuleWriter& tcp_flags(std::uint8_t mask, std::uint8_t value); // exactly `value` of these flags
  RuleWriter& any_tcp_flag(std::uint8_t mask);
  RuleWriter& only_destination_unreachable(Family family, bool port_only = false); // ICMP or ICMPv6
  RuleWriter& only_abort_of_init();                                                // SCTP: ABORT in reply to INIT
  RuleWriter& dport_between(std::uint16_t first, std::uint16_t last);              // any protocol with ports at this offset
  RuleWriter& packet_mark(std::uint32_t mark);
  RuleWriter& no_input_interface(bool of_process); // meta iif 0; only packets of processes on the gateway, or all
  RuleWriter& socket_mark(std::uint32_t mark);     // mark of the local socket that receives the packet
  RuleWriter& in_set(const std::string& set);      // the key is in register 0
  RuleWriter& not_in_set(const std::string& set);
  RuleWriter& add_to_set(const std::string& set);      // the key is in register 0; with the set's timeout; a full set ends the rule here
  RuleWriter& update_set(const std::string& set);      // the same, and restarts the timeout of an existing key
  RuleWriter& delete_from_set(const std::string& set); // Linux 5.7
  RuleWriter& over_limit_in_set(const std::string& set, std::uint64_t per_minute, std::uint32_t burst); // the same; goes on above that rate
  RuleWriter& limit(std::uint64_t per_second); // packets per second, and the same number as a burst
  RuleWriter& log(std::uint16_t group, const char* prefix);
  RuleWriter& notrack();
  RuleWriter& set_nftrace();                          // the packet's way through the chains is reported from here on
  RuleWriter& add_flow(const std::string& flowtable); // flow add: it forwards the flow's later packets
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
  RuleWriter& load_ct(std::uint32_t key, std::optional<std::uint8_t> direction, unsigned index);
  RuleWriter& compare(std::uint32_t operation, std::span<const std::uint8_t> bytes);
  RuleWriter& mask(std::span<const std::uint8_t> mask);
  RuleWriter& mask_and_compare(std::uint32_t operation, std::span<const std::uint8_t> bits, std::span<const std::uint8_t> value);
  RuleWriter& look_up(const std::string& set, std::optional<std::uint32_t> into, std::uint32_t flags = 0);
  RuleWriter& put_into_set(const std::string& set, std::uint32_t operation, nftnl_expr* counted = nullptr);
  RuleWriter& reject(std::uint32_t type, std::uint8_t code);
  void load_ports(std::uint16_t first_port, std::uint16_t last_port, unsigned index);
  /// By index.
  struct PortRegisters {
    unsigned first_port, last_port;
  };
  /// A nat expression with its address in register 0.
  RuleWriter& nat(std::uint32_t type, Family family, std::optional<PortRegisters> ports, std::uint32_t flags);

  RulePtr rule_;
};

/// The rule's comment and expressions as text, one expression per line; equal text means equal rules. The text depends on the version of
/// libnftnl: it is for comparisons within one process.
std::string describe(const nftnl_rule& rule);

} // namespace hanat::nat
