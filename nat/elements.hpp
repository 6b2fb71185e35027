// Rules as elements of the table's sets, and back: which set a fact lives in, its key, data and comment as the kernel has them.
// Pure. Not here: which elements a change adds and deletes, and messages (transaction).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "nat/handles.hpp"
#include "nat/rules.hpp"

namespace hanat::nat {

enum class SetKind : std::uint8_t { known, target, refused, stale, moved, hold, armed, masquerade, source };
inline constexpr std::array set_kinds{SetKind::known, SetKind::target, SetKind::refused,    SetKind::stale, SetKind::moved,
                                      SetKind::hold,  SetKind::armed,  SetKind::masquerade, SetKind::source};
inline constexpr std::array families{Family::ipv4, Family::ipv6};

/// Ranges of ports have sets of their own: the kernel finds an exact endpoint by its hash, and what changes costs the same however many
/// there are. A set of ranges is copied by every transaction that changes it.
struct SetId {
  SetKind kind = SetKind::known;
  Family family = Family::ipv4;
  bool ranges = false;
  auto operator<=>(const SetId&) const = default;
};
/// "target4", "target4_ranges"
std::string name_of(SetId id);
/// Every set that holds rules; `armed` has addresses only, and so no ranges.
std::vector<SetId> set_ids();

/// Bytes as an nf_tables register file holds them: every part of a concatenation padded to 4.
class Words {
public:
  void add(const Address& address);
  void add(Protocol protocol);
  void add_port(std::uint16_t port);
  /// The same with another port at this byte.
  Words with_port(std::uint32_t at, std::uint16_t port) const;
  const std::uint8_t* data() const { return bytes_.data(); }
  std::uint32_t size() const { return size_; }

private:
  std::uint8_t* take(std::uint32_t length);
  std::array<std::uint8_t, 64> bytes_{}; // NFT_DATA_VALUE_MAXLEN
  std::uint32_t size_ = 0;
};

/// Chains that elements name as verdicts.
inline constexpr const char* chain_refuse = "refuse";
inline constexpr const char* chain_masquerade = "masquerade_random";
inline constexpr const char* chain_hairpin = "hairpin";
inline constexpr const char* chain_guard4 = "guard4";
inline constexpr const char* chain_guard6 = "guard6";

/// The set by which the guard knows that hanatd lives.
inline constexpr const char* set_alive = "alive";

struct Element {
  Words key;                   // of a range with its first port
  std::uint16_t last_port = 0; // of a range
  Words data;                  // of target and source
  const char* jump = nullptr;  // verdict maps: the chain of goto (or jump, in armed); nullptr there: drop
  std::string comment;
};

using ElementLists = std::map<SetId, std::vector<Element>>;
void add_known(ElementLists& lists, const Vip& vip, const std::string& comment);
void add_target(ElementLists& lists, const Vip& vip, const Target& target);
void add_refused(ElementLists& lists, const Vip& vip, const Refused& refused);
void add_stale(ElementLists& lists, const Mapping& mapping, const std::string& comment);
void add_moved(ElementLists& lists, const Vip& vip, const std::string& comment);
void add_hold(ElementLists& lists, const Mapping& mapping, const std::string& comment);
void add_source(ElementLists& lists, const Mapping& mapping, const Source& source);
void add_armed(ElementLists& lists, const Address& address);

/// A libnftnl set that carries the elements, for one NEWSETELEM or DELSETELEM message; a delete needs keys only.
SetPtr to_message_set(const std::string& table, SetId id, std::span<const Element> elements, bool keys_only);

/// The one element of the set `alive`.
SetPtr to_alive_message_set(const std::string& table);

/// Addresses whose packets take the guard's second part: something of them is refused, stale or moved. Counts, since services share
/// addresses.
using Armed = std::map<Address, unsigned>;
Armed armed_by(const Rules& rules);

/// What was read back. An element that none of the functions above would have written is counted as foreign.
struct Decoded {
  Rules rules;
  Armed armed;
  unsigned foreign = 0;
};
void decode(SetId id, const nftnl_set& set, Decoded& into);

} // namespace hanat::nat
