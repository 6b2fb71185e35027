// Encodes and decodes keys and data of set elements.
#include "nat/nftables/set_elements.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

#include <arpa/inet.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "nat/nftables/comment.hpp"

namespace hanat::nat {
namespace {

const char* chain_behind(SetKind gate, Family family) {
  if (gate == SetKind::guarded) return family == Family::ipv4 ? chain_guard4 : chain_guard6;
  return family == Family::ipv4 ? chain_source_ipv4 : chain_source_ipv6;
}

Address unspecified(Family family) {
  constexpr std::array<std::uint8_t, 16> zeros{};
  return Address::from_bytes(std::span{zeros}.first(family == Family::ipv4 ? 4 : 16));
}

constexpr std::uint32_t padded(std::uint32_t length) { return (length + 3) / 4 * 4; }

KeyBytes key_of(const Vip& vip) {
  KeyBytes bytes;
  bytes.add(vip.address);
  bytes.add(vip.protocol);
  bytes.add_port(vip.port);
  return bytes;
}

/// Flows of a range keep their port, so the key has the server's address without a port.
KeyBytes key_of(const Mapping& mapping) {
  KeyBytes bytes = key_of(mapping.vip);
  bytes.add(mapping.server.address);
  if (!is_range(mapping.vip)) bytes.add_port(mapping.server.port);
  return bytes;
}

/// The offset of the virtual endpoint's port in a key: after its address and protocol.
constexpr std::uint32_t port_offset(Family family) { return (family == Family::ipv4 ? 4 : 16) + 4; }

std::uint16_t last_of(const Vip& vip) { return vip.last; }
std::uint16_t last_of(const Mapping& mapping) { return mapping.vip.last; }

/// Reads a key or data from front to back. Any mismatch makes `good` false.
class Reader {
public:
  Reader(const void* data, std::uint32_t length) : at_(static_cast<const std::uint8_t*>(data)), left_(data == nullptr ? 0 : length) {}
  Address address(Family family) {
    const auto* bytes = take(family == Family::ipv4 ? 4 : 16);
    return bytes == nullptr ? Address{} : Address::from_bytes({bytes, family == Family::ipv4 ? 4U : 16U});
  }
  std::uint16_t port() {
    const auto* bytes = take(4);
    return bytes == nullptr ? std::uint16_t{0} : static_cast<std::uint16_t>(bytes[0] << 8 | bytes[1]);
  }
  /// A key of one byte.
  std::optional<Family> family() {
    const auto* byte = left_ == 1 ? take(1) : nullptr;
    for (const Family family : both_families)
      if (byte != nullptr && *byte == nfproto(family)) return family;
    return std::nullopt;
  }
  Protocol protocol() {
    const auto* bytes = take(4);
    const auto value = bytes == nullptr ? Protocol{} : static_cast<Protocol>(bytes[0]);
    good_ &= to_text(value) != "?";
    return value;
  }
  /// Without the end of a range.
  Vip vip(Family family) {
    const Address vip_address = address(family);
    const Protocol vip_protocol = protocol();
    return {.address = vip_address, .protocol = vip_protocol, .port = port()};
  }
  Endpoint endpoint(Family family) {
    const Address server_address = address(family);
    return {.address = server_address, .port = port()};
  }
  /// The server; of a range without a port.
  Endpoint server(SetId id) { return id.ranges ? Endpoint{.address = address(id.family), .port = 0} : endpoint(id.family); }
  bool good() const { return good_ && left_ == 0; }

private:
  const std::uint8_t* take(std::uint32_t length) {
    good_ &= left_ >= length;
    if (!good_) return nullptr;
    left_ -= length;
    return std::exchange(at_, at_ + length);
  }
  const std::uint8_t* at_;
  std::uint32_t left_;
  bool good_ = true;
};

std::string comment_of(nftnl_set_elem* element) {
  std::uint32_t length = 0;
  const void* data = nftnl_set_elem_get(element, NFTNL_SET_ELEM_USERDATA, &length);
  return comment_in(data, length);
}

bool has_verdict(nftnl_set_elem* element, int code, std::string_view chain) {
  if (nftnl_set_elem_get_u32(element, NFTNL_SET_ELEM_VERDICT) != static_cast<std::uint32_t>(code)) return false;
  const char* name = nftnl_set_elem_get_str(element, NFTNL_SET_ELEM_CHAIN);
  return chain == (name == nullptr ? "" : name);
}

std::optional<Refusal> parse_refusal(nftnl_set_elem* element) {
  if (has_verdict(element, NF_DROP, "")) return Refusal::drop;
  if (has_verdict(element, NFT_GOTO, chain_refuse)) return Refusal::reject;
  if (has_verdict(element, NFT_JUMP, chain_refuse_new)) return Refusal::reject_new;
  return std::nullopt;
}

std::optional<Snat> parse_snat(SetKind kind, Family family, nftnl_set_elem* element) {
  if (kind == SetKind::masquerade) {
    if (has_verdict(element, NFT_GOTO, chain_masquerade)) return Snat{.kind = SnatKind::masquerade, .address = {}};
    if (has_verdict(element, NFT_GOTO, chain_hairpin)) return Snat{.kind = SnatKind::hairpin, .address = {}};
    return std::nullopt;
  }
  std::uint32_t length = 0;
  const void* data = nftnl_set_elem_get(element, NFTNL_SET_ELEM_DATA, &length);
  Reader reader{data, length};
  const Address address = reader.address(family);
  if (!reader.good()) return std::nullopt;
  return Snat{.kind = SnatKind::address, .address = address};
}

/// The last port of a range: its end key equals its start key except for the port. nullopt: hanat would not write this element.
std::optional<std::uint16_t> parse_last_port(SetId id, nftnl_set_elem* element) {
  std::uint32_t length = 0, end_length = 0;
  const auto* key = static_cast<const std::uint8_t*>(nftnl_set_elem_get(element, NFTNL_SET_ELEM_KEY, &length));
  const auto* end = static_cast<const std::uint8_t*>(nftnl_set_elem_get(element, NFTNL_SET_ELEM_KEY_END, &end_length));
  const std::uint32_t at = port_offset(id.family);
  if (key == nullptr || end == nullptr || length != end_length || length < at + 4) return std::nullopt;
  const auto port_at = [at](const std::uint8_t* bytes) { return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]); };
  const bool same = std::equal(key, key + at, end) && std::equal(key + at + 2, key + length, end + at + 2);
  if (!same || port_at(end) <= port_at(key)) return std::nullopt;
  return port_at(end);
}

bool decode_one(SetId id, nftnl_set_elem* element, Decoded& into) {
  std::uint32_t length = 0;
  const void* bytes = nftnl_set_elem_get(element, NFTNL_SET_ELEM_KEY, &length);
  Reader key{bytes, length};
  const std::string comment = comment_of(element);
  if (is_family_gate(id.kind)) {
    const auto family = key.family();
    return family && ++into.gates[{id.kind, unspecified(*family)}] == 1;
  }
  if (is_gate(id.kind)) {
    const Address address = key.address(id.family);
    return key.good() && has_verdict(element, NFT_JUMP, chain_behind(id.kind, id.family)) && ++into.gates[{id.kind, address}] == 1;
  }
  Vip vip = key.vip(id.family);
  if (id.ranges) {
    const auto last = parse_last_port(id, element);
    if (!last) return false;
    vip.last = *last;
  }
  switch (id.kind) {
  case SetKind::vips: return key.good() && into.state.vips.emplace(vip, comment).second;
  case SetKind::recent: return key.good() && into.state.recent.emplace(vip, comment).second;
  case SetKind::reject: {
    const auto refusal = parse_refusal(element);
    return key.good() && refusal && into.state.reject.emplace(vip, Reject{*refusal, comment}).second;
  }
  case SetKind::dnat: {
    const void* data = nftnl_set_elem_get(element, NFTNL_SET_ELEM_DATA, &length);
    Reader reader{data, length};
    const Endpoint server = reader.server(id);
    return key.good() && reader.good() && into.state.dnat.emplace(vip, DnatTarget{server, comment}).second;
  }
  case SetKind::stale: {
    const Mapping mapping{vip, key.server(id)};
    return key.good() && into.state.stale.emplace(mapping, comment).second;
  }
  case SetKind::hold: {
    const Mapping mapping{vip, key.server(id)};
    return key.good() && into.state.hold.emplace(mapping, comment).second;
  }
  case SetKind::masquerade:
  case SetKind::snat: {
    const Mapping mapping{vip, key.server(id)};
    const auto snat = parse_snat(id.kind, id.family, element);
    return key.good() && snat && into.state.snat.emplace(mapping, SnatRule{*snat, comment}).second;
  }
  case SetKind::servers:
  case SetKind::displaced: return key.good() && into.endpoints[id.kind].emplace(vip, comment).second;
  case SetKind::guarding:
  case SetKind::settling:
  case SetKind::guarded:
  case SetKind::translated: break;
  }
  return false;
}

bool is_verdict_map(SetKind kind) {
  switch (kind) {
  case SetKind::reject:
  case SetKind::guarded:
  case SetKind::masquerade:
  case SetKind::translated: return true;
  case SetKind::vips:
  case SetKind::dnat:
  case SetKind::stale:
  case SetKind::recent:
  case SetKind::hold:
  case SetKind::guarding:
  case SetKind::settling:
  case SetKind::snat:
  case SetKind::servers:
  case SetKind::displaced: return false;
  }
  return false;
}

nftnl_set_elem* to_message_element(SetId id, const Element& element, bool key_only) {
  const SetKind kind = id.kind;
  nftnl_set_elem* result = made(nftnl_set_elem_alloc());
  nftnl_set_elem_set(result, NFTNL_SET_ELEM_KEY, element.key.data(), element.key.size());
  if (id.ranges) {
    const KeyBytes end = element.key.with_port(port_offset(id.family), element.last_port);
    nftnl_set_elem_set(result, NFTNL_SET_ELEM_KEY_END, end.data(), end.size());
  }
  if (key_only) return result;
  if (is_verdict_map(kind)) {
    const bool returns = is_gate(kind) || element.jump == chain_refuse_new;
    const int code = element.jump == nullptr ? NF_DROP : returns ? NFT_JUMP : NFT_GOTO;
    nftnl_set_elem_set_u32(result, NFTNL_SET_ELEM_VERDICT, static_cast<std::uint32_t>(code));
    if (element.jump != nullptr) nftnl_set_elem_set_str(result, NFTNL_SET_ELEM_CHAIN, element.jump);
  } else if (element.data.size() != 0) {
    nftnl_set_elem_set(result, NFTNL_SET_ELEM_DATA, element.data.data(), element.data.size());
  }
  if (!element.comment.empty()) {
    const auto data = comment_data(element.comment);
    nftnl_set_elem_set(result, NFTNL_SET_ELEM_USERDATA, nftnl_udata_buf_data(data.get()), nftnl_udata_buf_len(data.get()));
  }
  return result;
}

template <typename Key> Element& add(ElementLists& lists, SetKind kind, Family family, const Key& key, const std::string& comment) {
  Element& element = lists[{kind, family, last_of(key) != 0}].emplace_back();
  element.key = key_of(key);
  element.last_port = last_of(key);
  element.comment = comment;
  return element;
}

} // namespace

std::uint8_t* KeyBytes::take(std::uint32_t length) {
  std::uint8_t* part = bytes_.data() + size_;
  size_ += padded(length);
  return part;
}
void KeyBytes::add(const Address& address) {
  const auto bytes = address.bytes();
  std::ranges::copy(bytes, take(static_cast<std::uint32_t>(bytes.size())));
}
void KeyBytes::set(Family family) {
  bytes_[0] = nfproto(family);
  size_ = 1;
}
void KeyBytes::add(Protocol protocol) { *take(1) = static_cast<std::uint8_t>(protocol); }
void KeyBytes::add_port(std::uint16_t port) {
  const std::uint16_t network_order = htons(port);
  std::memcpy(take(sizeof network_order), &network_order, sizeof network_order);
}
KeyBytes KeyBytes::with_port(std::uint32_t at, std::uint16_t port) const {
  KeyBytes other = *this;
  const std::uint16_t network_order = htons(port);
  std::memcpy(other.bytes_.data() + at, &network_order, sizeof network_order);
  return other;
}

void add_vip(ElementLists& lists, const Vip& vip, const std::string& comment) {
  add(lists, SetKind::vips, vip.address.family(), vip, comment);
}
void add_dnat(ElementLists& lists, const Vip& vip, const DnatTarget& target) {
  Element& element = add(lists, SetKind::dnat, vip.address.family(), vip, target.comment);
  element.data.add(target.server.address);
  if (!is_range(vip)) element.data.add_port(target.server.port); // a flow of a range keeps its port
}
void add_reject(ElementLists& lists, const Vip& vip, const Reject& reject) {
  Element& element = add(lists, SetKind::reject, vip.address.family(), vip, reject.comment);
  switch (reject.refusal) {
  case Refusal::reject: element.jump = chain_refuse; return;
  case Refusal::reject_new: element.jump = chain_refuse_new; return;
  case Refusal::drop: element.jump = nullptr; return;
  }
}
void add_stale(ElementLists& lists, const Mapping& mapping, const std::string& comment) {
  add(lists, SetKind::stale, mapping.vip.address.family(), mapping, comment);
}
void add_recent(ElementLists& lists, const Vip& vip, const std::string& comment) {
  add(lists, SetKind::recent, vip.address.family(), vip, comment);
}
void add_hold(ElementLists& lists, const Mapping& mapping, const std::string& comment) {
  add(lists, SetKind::hold, mapping.vip.address.family(), mapping, comment);
}
void add_snat(ElementLists& lists, const Mapping& mapping, const SnatRule& rule) {
  const Family family = mapping.vip.address.family();
  switch (rule.snat.kind) {
  case SnatKind::none: return;
  case SnatKind::masquerade: add(lists, SetKind::masquerade, family, mapping, rule.comment).jump = chain_masquerade; return;
  case SnatKind::hairpin: add(lists, SetKind::masquerade, family, mapping, rule.comment).jump = chain_hairpin; return;
  case SnatKind::address: add(lists, SetKind::snat, family, mapping, rule.comment).data.add(rule.snat.address); return;
  }
}
void add_gate(ElementLists& lists, const Gate& gate) {
  const Family family = gate.address.family();
  if (is_family_gate(gate.kind)) {
    lists[{gate.kind, Family::ipv4, false}].emplace_back().key.set(family);
    return;
  }
  Element& element = lists[{gate.kind, family, false}].emplace_back();
  element.key.add(gate.address);
  element.jump = chain_behind(gate.kind, family);
}

void add_endpoint(ElementLists& lists, SetKind kind, const Vip& endpoint, const std::string& comment) {
  add(lists, kind, endpoint.address.family(), endpoint, comment);
}

SetPtr make_named_set(const std::string& table, const std::string& name) {
  auto set = made(SetPtr{nftnl_set_alloc()});
  nftnl_set_set_u32(set.get(), NFTNL_SET_FAMILY, NFPROTO_INET);
  nftnl_set_set_str(set.get(), NFTNL_SET_TABLE, table.c_str());
  nftnl_set_set_str(set.get(), NFTNL_SET_NAME, name.c_str());
  return set;
}

SetPtr to_message_set(const std::string& table, SetId id, std::span<const Element> elements, bool keys_only) {
  auto set = make_named_set(table, name_of(id));
  for (const Element& element : elements) nftnl_set_elem_add(set.get(), to_message_element(id, element, keys_only)); // the set frees it
  return set;
}

SetPtr to_heartbeat_message_set(const std::string& table) {
  auto set = make_named_set(table, set_heartbeat);
  constexpr std::uint32_t zero = 0; // RuleWriter::load_zero
  nftnl_set_elem* element = made(nftnl_set_elem_alloc());
  nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, &zero, sizeof zero);
  nftnl_set_elem_add(set.get(), element); // the set frees it
  return set;
}

Gates settling_gates() {
  Gates gates;
  for (const Family family : both_families)
    for (const SetKind kind : {SetKind::guarding, SetKind::settling}) ++gates[{kind, unspecified(family)}];
  return gates;
}

bool is_settling(const Gates& gates) {
  return std::ranges::any_of(gates, [](const auto& entry) { return entry.first.kind == SetKind::settling; });
}

Gates gates_of(const TableState& state, bool settling) {
  Gates gates = settling ? settling_gates() : Gates{};
  const auto guard = [&gates](const Address& address) {
    ++gates[{SetKind::guarded, address}];
    ++gates[{SetKind::guarding, unspecified(address.family())}];
  };
  for (const auto& [vip, reject] : state.reject) guard(vip.address);
  for (const auto& [mapping, comment] : state.stale) guard(mapping.vip.address);
  for (const auto& [vip, comment] : state.recent) guard(vip.address);
  for (const auto& [mapping, rule] : state.snat)
    if (rule.snat.kind != SnatKind::none) ++gates[{SetKind::translated, mapping.server.address}];
  return gates;
}

void decode(SetId id, const nftnl_set& set, Decoded& into) {
  struct Context {
    SetId id;
    Decoded* into;
  } context{id, &into};
  nftnl_set_elem_foreach(
      const_cast<nftnl_set*>(&set), // only read by libnftnl
      [](nftnl_set_elem* element, void* data) {
        const auto& [set_id, out] = *static_cast<Context*>(data);
        if (!decode_one(set_id, element, *out)) ++out->foreign;
        return 0;
      },
      &context);
}

} // namespace hanat::nat
