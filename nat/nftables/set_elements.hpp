// The sets that hanatd fills, the gates that lead to their elements, and a TableState from elements that were read back. Pure.
// Not here: which elements a change adds and deletes (difference), attributes (element_list), messages (transaction).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "nat/nftables/element_list.hpp"
#include "nat/nftables/handles.hpp"
#include "nat/nftables/range_numbers.hpp"
#include "nat/nftables/table_state.hpp"

namespace hanat::nat {

enum class SetKind : std::uint8_t {
  vips,
  dnat,
  reject,
  stale,
  recent,
  hold,
  guarding,
  guarded,
  masquerade,
  snat,
  translated,
  servers,
  displaced,
  settling,
  ranges,
  flows,
  offloaded
};
/// In the order in which they are made: the kernel searches their list for every message, so what a flip changes comes first.
inline constexpr std::array set_kinds{SetKind::dnat,       SetKind::stale,    SetKind::guarding,  SetKind::guarded,    SetKind::recent,
                                      SetKind::hold,       SetKind::reject,   SetKind::vips,      SetKind::masquerade, SetKind::snat,
                                      SetKind::translated, SetKind::servers,  SetKind::displaced, SetKind::settling,   SetKind::ranges,
                                      SetKind::flows,      SetKind::offloaded};
/// Sets of an EndpointMap.
inline constexpr std::array endpoint_sets{SetKind::servers, SetKind::displaced, SetKind::offloaded};

/// Ranges of ports have their own sets. The kernel finds an exact endpoint by hash, and a change costs the same however many there are; a
/// set of intervals is copied by every transaction that changes it. So only what a configuration says is in sets of intervals. What a flip
/// changes has the address and protocol of its range as its key, in a set with the number of the range (RangeNumbers): a set of intervals,
/// `ranges`, says which ports of them are in the range with that number.
struct SetId {
  SetKind kind = SetKind::vips;
  Family family = Family::ipv4;
  bool ranges = false;
  std::uint8_t number = 0; // of a range; 0: intervals
  auto operator<=>(const SetId&) const = default;
};
/// `flows` has the exact endpoints of `vips` once more, with a counter each: only what translates looks them up there. An element with a
/// counter costs the kernel three times as much as one without, so there is none in what a flip changes, but for ranges.
/// "dnat4", "vips4_ranges", "dnat4_range1"; guarding and settling are one set each for both families.
std::string name_of(SetId id);
/// Its name in the table of an older hanatd (layout 3): an upgrade keeps the elements.
std::string name_in_layout_3(SetId id);
/// Every set that hanatd fills, but for those with a number. Those of gates have no ports, so they have no ranges.
std::vector<SetId> set_ids();
/// Those with this number; that of the ranges themselves comes first.
std::vector<SetId> set_ids_of_range(std::uint8_t number);
/// Sets of intervals that layouts before 10 had in their place.
std::vector<SetId> set_ids_of_layout_9();

/// Chains that elements refer to in verdicts, or several parts of the rules.
inline constexpr const char* chain_refuse = "refuse";
inline constexpr const char* chain_refuse_new = "refuse_new";
inline constexpr const char* chain_masquerade = "masquerade_random";
inline constexpr const char* chain_hairpin = "hairpin";
inline constexpr const char* chain_guard4 = "guard4";
inline constexpr const char* chain_guard6 = "guard6";
inline constexpr const char* chain_dnat4 = "dnat_ipv4"; // `dnat` alone is a keyword of nft
inline constexpr const char* chain_dnat6 = "dnat_ipv6";
inline constexpr const char* chain_dnat_ranges = "dnat_ranges";
inline constexpr const char* chain_guard4_ranges = "guard4_ranges";
inline constexpr const char* chain_guard6_ranges = "guard6_ranges";
inline constexpr const char* chain_hold_ranges = "hold_ranges";
inline constexpr const char* chain_unreachable_ranges = "unreachable_ranges";
inline constexpr const char* chain_source_ipv4 = "source_ipv4";
inline constexpr const char* chain_source_ipv6 = "source_ipv6";

/// The guard holds refusals only while this set has its element, 0, which hanatd renews every second.
inline constexpr const char* set_heartbeat = "heartbeat";

/// A set by address alone, so that packets to other addresses pay for one lookup only: `guarded` has the addresses in `reject`, `stale` or
/// `recent`, and packets to them go to guard4 or guard6 (by a rule: the kernel checks the whole table again when it gets an element with
/// a jump), `translated` those of servers in `masquerade` or `snat` and leads to source_ipv4 or source_ipv6.
/// `guarding` has the families of which `guarded` has an address. Normally it is empty, and every packet that is forwarded pays for its
/// lookup: the kernel keeps keys of one byte in a bitmap. `settling` has both families while the gateway is a standby of a pair, or
/// settles: then `guarding` has them, too.
struct Gate {
  SetKind kind = SetKind::guarded;
  Address address; // of guarding and settling: the unspecified address of the family
  auto operator<=>(const Gate&) const = default;
};
constexpr bool is_family_gate(SetKind kind) { return kind == SetKind::guarding || kind == SetKind::settling; }
constexpr bool is_gate(SetKind kind) { return is_family_gate(kind) || kind == SetKind::guarded || kind == SetKind::translated; }
/// With a count, since services share addresses.
using Gates = std::map<Gate, unsigned>;
/// `settling`: with those of a gateway that settles.
Gates gates_of(const TableState& state, bool settling = false);
/// Those alone.
Gates settling_gates();
/// Whether they are among these.
bool is_settling(const Gates& gates);

/// The offset of the virtual endpoint's port in a key: after its address and protocol.
constexpr std::uint32_t port_offset(Family family) { return (family == Family::ipv4 ? 4 : 16) + 4; }
/// Where an element of `translated` leads to.
constexpr const char* source_chain(Family family) { return family == Family::ipv4 ? chain_source_ipv4 : chain_source_ipv6; }

/// A libnftnl set with family, table and name, and nothing else yet.
SetPtr make_named_set(const std::string& table, const std::string& name);

/// The only element of the set `heartbeat`.
SetPtr to_heartbeat_message_set(const std::string& table);

/// Elements read back from the kernel. An element that none of the functions above would have written counts as foreign.
struct Decoded {
  TableState state;
  Gates gates;
  std::map<SetKind, EndpointMap> endpoints; // of sets that have any
  RangeNumbers numbers;                     // of the ranges in `ranges`
  std::set<Vip> counted;                    // in `flows`
  unsigned foreign = 0;
};
void decode(SetId id, const nftnl_set& set, Decoded& into);

} // namespace hanat::nat
