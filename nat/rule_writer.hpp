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
  RuleWriter& load_vip_key(Family family, unsigned index = 0);      // ip daddr . meta l4proto . th dport
  RuleWriter& load_original_vip(Family family, unsigned index = 0); // the same of the flow's first packet, before translation
  RuleWriter& load_dport(unsigned index);
  RuleWriter& load_reply_source(Family family, unsigned index); // ct reply ip saddr . ct reply proto-src: the flow's server
  RuleWriter& ct_state(std::uint32_t mask);
  RuleWriter& in_reply_direction();
  RuleWriter& no_tcp_flags(std::uint8_t mask); // none of them set
  RuleWriter& in_set(const std::string& set);  // looked up by register 0
  RuleWriter& in_verdict_map(const std::string& map);
  RuleWriter& from_map(const std::string& map); // data into register 0
  RuleWriter& verdict(std::int32_t code, const std::string& chain = {});
  RuleWriter& reject_with_tcp_reset();
  RuleWriter& reject_port_unreachable();
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
  RuleWriter& mask_and_compare(std::uint32_t operation, std::span<const std::uint8_t> mask);
  RuleWriter& look_up(const std::string& set, std::optional<std::uint32_t> into);
  RuleWriter& reject(std::uint32_t type, std::uint8_t code);
  void load_ports(std::uint16_t first_port, std::uint16_t last_port, unsigned index);

  RulePtr rule_;
};

/// The rule's comment and expressions as text, one expression a line; equal text means equal rules.
std::string describe(const nftnl_rule& rule);

} // namespace hanat::nat
