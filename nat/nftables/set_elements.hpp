// Converts a TableState to elements of the table's sets and back: which set an entry belongs to, and its key, data and comment in the
// kernel's form. Pure. Not here: which elements a change adds and deletes, and messages (transaction).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "nat/nftables/handles.hpp"
#include "nat/nftables/table_state.hpp"

namespace hanat::nat {

/// nf_tables' number of the family.
constexpr std::uint8_t nfproto(Family family) { return family == Family::ipv4 ? 2 : 10; } // NFPROTO_IPV4, NFPROTO_IPV6

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
  settling
};
inline constexpr std::array set_kinds{SetKind::vips,       SetKind::dnat,     SetKind::reject,    SetKind::stale,      SetKind::recent,
                                      SetKind::hold,       SetKind::guarding, SetKind::guarded,   SetKind::masquerade, SetKind::snat,
                                      SetKind::translated, SetKind::servers,  SetKind::displaced, SetKind::settling};
/// Sets of an EndpointMap.
inline constexpr std::array endpoint_sets{SetKind::servers, SetKind::displaced};

/// Ranges of ports have their own sets. The kernel finds an exact endpoint by hash, and a change costs the same however many there are; a
/// set of ranges is copied by every transaction that changes it.
struct SetId {
  SetKind kind = SetKind::vips;
  Family family = Family::ipv4;
  bool ranges = false;
  auto operator<=>(const SetId&) const = default;
};
/// "dnat4", "dnat4_ranges"; guarding and settling are one set each for both families.
std::string name_of(SetId id);
/// Its name in the table of an older hanatd (layout 3): an upgrade keeps the elements. Only names have changed since.
std::string name_in_layout_3(SetId id);
/// Every set that hanatd fills. Those of gates have no ports, so they have no ranges.
std::vector<SetId> set_ids();

/// A key in the form of nf_tables registers: every part of a concatenation is padded to 4 bytes.
class KeyBytes {
public:
  void add(const Address& address);
  void add(Protocol protocol);
  void add_port(std::uint16_t port);
  /// The whole key: one byte.
  void set(Family family);
  /// A copy with another port at this offset.
  KeyBytes with_port(std::uint32_t at, std::uint16_t port) const;
  const std::uint8_t* data() const { return bytes_.data(); }
  std::uint32_t size() const { return size_; }

private:
  std::uint8_t* take(std::uint32_t length);
  std::array<std::uint8_t, 64> bytes_{}; // NFT_DATA_VALUE_MAXLEN
  std::uint32_t size_ = 0;
};

/// Chains that elements refer to in verdicts.
inline constexpr const char* chain_refuse = "refuse";
inline constexpr const char* chain_refuse_new = "refuse_new";
inline constexpr const char* chain_masquerade = "masquerade_random";
inline constexpr const char* chain_hairpin = "hairpin";
inline constexpr const char* chain_guard4 = "guard4";
inline constexpr const char* chain_guard6 = "guard6";
inline constexpr const char* chain_source_ipv4 = "source_ipv4";
inline constexpr const char* chain_source_ipv6 = "source_ipv6";

/// The guard holds refusals only while this set has its element, 0, which hanatd renews every second.
inline constexpr const char* set_heartbeat = "heartbeat";

struct Element {
  KeyBytes key;                // of a range: with its first port
  std::uint16_t last_port = 0; // only of a range
  KeyBytes data;               // only of dnat and snat
  const char* jump = nullptr;  // verdict maps: the chain to go to (gates: to jump to); nullptr: drop
  std::string comment;
};

/// A set by address alone, so that packets to other addresses pay for one lookup only: `guarded` has the addresses in `reject`, `stale` or
/// `recent` and leads to guard4 or guard6, `translated` those of servers in `masquerade` or `snat` and leads to source_ipv4 or source_ipv6.
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

using ElementLists = std::map<SetId, std::vector<Element>>;
void add_vip(ElementLists& lists, const Vip& vip, const std::string& comment);
void add_dnat(ElementLists& lists, const Vip& vip, const DnatTarget& target);
void add_reject(ElementLists& lists, const Vip& vip, const Reject& reject);
void add_stale(ElementLists& lists, const Mapping& mapping, const std::string& comment);
void add_recent(ElementLists& lists, const Vip& vip, const std::string& comment);
void add_hold(ElementLists& lists, const Mapping& mapping, const std::string& comment);
void add_snat(ElementLists& lists, const Mapping& mapping, const SnatRule& rule);
void add_gate(ElementLists& lists, const Gate& gate);
/// `kind`: one of endpoint_sets.
void add_endpoint(ElementLists& lists, SetKind kind, const Vip& endpoint, const std::string& comment);

/// A libnftnl set with family, table and name, and nothing else yet.
SetPtr make_named_set(const std::string& table, const std::string& name);

/// A libnftnl set with the elements, for one NEWSETELEM or DELSETELEM message. A delete needs only the keys.
SetPtr to_message_set(const std::string& table, SetId id, std::span<const Element> elements, bool keys_only);

/// The only element of the set `heartbeat`.
SetPtr to_heartbeat_message_set(const std::string& table);

/// Elements read back from the kernel. An element that none of the functions above would have written counts as foreign.
struct Decoded {
  TableState state;
  Gates gates;
  std::map<SetKind, EndpointMap> endpoints; // of sets that have any
  unsigned foreign = 0;
};
void decode(SetId id, const nftnl_set& set, Decoded& into);

} // namespace hanat::nat
