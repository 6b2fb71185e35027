// Keys and data of set elements, both ways.
#include "nat/elements.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

#include <arpa/inet.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "nat/comment.hpp"

namespace hanat::nat {
namespace {

const char* guard_of(Family family) { return family == Family::ipv4 ? chain_guard4 : chain_guard6; }

constexpr std::uint32_t padded(std::uint32_t length) { return (length + 3) / 4 * 4; }

Words key_of(const Vip& vip) {
  Words words;
  words.add(vip.address);
  words.add(vip.protocol);
  words.add_port(vip.port);
  return words;
}

/// The flows of a range keep their port: the server's address says all.
Words key_of(const Mapping& mapping) {
  Words words = key_of(mapping.vip);
  words.add(mapping.server.address);
  if (!is_range(mapping.vip)) words.add_port(mapping.server.port);
  return words;
}

/// Where a key has the virtual endpoint's port: behind its address and protocol.
constexpr std::uint32_t port_place(Family family) { return (family == Family::ipv4 ? 4 : 16) + 4; }

std::uint16_t last_of(const Vip& vip) { return vip.last; }
std::uint16_t last_of(const Mapping& mapping) { return mapping.vip.last; }

/// Reads a key or data front to back; any misfit makes `good` false.
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
  Protocol protocol() {
    const auto* bytes = take(4);
    const auto value = bytes == nullptr ? Protocol{} : static_cast<Protocol>(bytes[0]);
    good_ &= to_text(value) != "?";
    return value;
  }
  /// Without the end of a range.
  Vip vip(Family family) {
    const Address where = address(family);
    const Protocol how = protocol();
    return {.address = where, .protocol = how, .port = port()};
  }
  Endpoint endpoint(Family family) {
    const Address where = address(family);
    return {.address = where, .port = port()};
  }
  /// Of a range: without a port.
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

std::optional<Refusal> refusal_of(nftnl_set_elem* element) {
  if (has_verdict(element, NF_DROP, "")) return Refusal::drop;
  if (has_verdict(element, NFT_GOTO, chain_refuse)) return Refusal::reject;
  return std::nullopt;
}

std::optional<Snat> snat_of(SetKind kind, Family family, nftnl_set_elem* element) {
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

/// The last port of a range, by an end of the key that is like its begin but for the port; nullopt: ours is never so.
std::optional<std::uint16_t> last_port_of(SetId id, nftnl_set_elem* element) {
  std::uint32_t length = 0, end_length = 0;
  const auto* key = static_cast<const std::uint8_t*>(nftnl_set_elem_get(element, NFTNL_SET_ELEM_KEY, &length));
  const auto* end = static_cast<const std::uint8_t*>(nftnl_set_elem_get(element, NFTNL_SET_ELEM_KEY_END, &end_length));
  const std::uint32_t at = port_place(id.family);
  if (key == nullptr || end == nullptr || length != end_length || length < at + 4) return std::nullopt;
  const auto port_at = [at](const std::uint8_t* bytes) { return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]); };
  const bool alike = std::equal(key, key + at, end) && std::equal(key + at + 2, key + length, end + at + 2);
  if (!alike || port_at(end) <= port_at(key)) return std::nullopt;
  return port_at(end);
}

bool decode_one(SetId id, nftnl_set_elem* element, Decoded& into) {
  std::uint32_t length = 0;
  const void* bytes = nftnl_set_elem_get(element, NFTNL_SET_ELEM_KEY, &length);
  Reader key{bytes, length};
  const std::string comment = comment_of(element);
  if (id.kind == SetKind::armed) {
    const Address address = key.address(id.family);
    return key.good() && has_verdict(element, NFT_JUMP, guard_of(id.family)) && ++into.armed[address] == 1;
  }
  Vip vip = key.vip(id.family);
  if (id.ranges) {
    const auto last = last_port_of(id, element);
    if (!last) return false;
    vip.last = *last;
  }
  switch (id.kind) {
  case SetKind::known: return key.good() && into.rules.known.emplace(vip, comment).second;
  case SetKind::moved: return key.good() && into.rules.moved.emplace(vip, comment).second;
  case SetKind::refused: {
    const auto refusal = refusal_of(element);
    return key.good() && refusal && into.rules.refused.emplace(vip, Refused{*refusal, comment}).second;
  }
  case SetKind::target: {
    const void* data = nftnl_set_elem_get(element, NFTNL_SET_ELEM_DATA, &length);
    Reader reader{data, length};
    const Endpoint server = reader.server(id);
    return key.good() && reader.good() && into.rules.target.emplace(vip, Target{server, comment}).second;
  }
  case SetKind::stale: {
    const Mapping mapping{vip, key.server(id)};
    return key.good() && into.rules.stale.emplace(mapping, comment).second;
  }
  case SetKind::hold: {
    const Mapping mapping{vip, key.server(id)};
    return key.good() && into.rules.hold.emplace(mapping, comment).second;
  }
  case SetKind::masquerade:
  case SetKind::source: {
    const Mapping mapping{vip, key.server(id)};
    const auto snat = snat_of(id.kind, id.family, element);
    return key.good() && snat && into.rules.source.emplace(mapping, Source{*snat, comment}).second;
  }
  case SetKind::armed: break;
  }
  return false;
}

bool gives_verdicts(SetKind kind) { return kind == SetKind::refused || kind == SetKind::masquerade || kind == SetKind::armed; }

nftnl_set_elem* to_message_element(SetId id, const Element& element, bool key_only) {
  const SetKind kind = id.kind;
  nftnl_set_elem* result = made(nftnl_set_elem_alloc());
  nftnl_set_elem_set(result, NFTNL_SET_ELEM_KEY, element.key.data(), element.key.size());
  if (id.ranges) {
    const Words end = element.key.with_port(port_place(id.family), element.last_port);
    nftnl_set_elem_set(result, NFTNL_SET_ELEM_KEY_END, end.data(), end.size());
  }
  if (key_only) return result;
  if (gives_verdicts(kind)) {
    const int code = element.jump == nullptr ? NF_DROP : kind == SetKind::armed ? NFT_JUMP : NFT_GOTO;
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

std::string name_of(SetId id) {
  const char digit = id.family == Family::ipv4 ? '4' : '6';
  const auto word = [kind = id.kind]() -> std::string {
    switch (kind) {
    case SetKind::known: return "known";
    case SetKind::target: return "target";
    case SetKind::refused: return "refused";
    case SetKind::stale: return "stale";
    case SetKind::moved: return "moved";
    case SetKind::hold: return "hold";
    case SetKind::armed: return "armed";
    case SetKind::masquerade: return "masquerade";
    case SetKind::source: return "source";
    }
    return {};
  };
  return word() + digit + (id.ranges ? "_ranges" : "");
}

std::vector<SetId> set_ids() {
  std::vector<SetId> ids;
  for (const SetKind kind : set_kinds)
    for (const bool ranges : {false, true})
      for (const Family family : families)
        if (!ranges || kind != SetKind::armed) ids.push_back({kind, family, ranges});
  return ids;
}

std::uint8_t* Words::take(std::uint32_t length) {
  std::uint8_t* place = bytes_.data() + size_;
  size_ += padded(length);
  return place;
}
void Words::add(const Address& address) {
  const auto bytes = address.bytes();
  std::ranges::copy(bytes, take(static_cast<std::uint32_t>(bytes.size())));
}
void Words::add(Protocol protocol) { *take(1) = static_cast<std::uint8_t>(protocol); }
void Words::add_port(std::uint16_t port) {
  const std::uint16_t network_order = htons(port);
  std::memcpy(take(sizeof network_order), &network_order, sizeof network_order);
}
Words Words::with_port(std::uint32_t at, std::uint16_t port) const {
  Words other = *this;
  const std::uint16_t network_order = htons(port);
  std::memcpy(other.bytes_.data() + at, &network_order, sizeof network_order);
  return other;
}

void add_known(ElementLists& lists, const Vip& vip, const std::string& comment) {
  add(lists, SetKind::known, vip.address.family(), vip, comment);
}
void add_target(ElementLists& lists, const Vip& vip, const Target& target) {
  Element& element = add(lists, SetKind::target, vip.address.family(), vip, target.comment);
  element.data.add(target.server.address);
  if (!is_range(vip)) element.data.add_port(target.server.port); // a range keeps the packet's
}
void add_refused(ElementLists& lists, const Vip& vip, const Refused& refused) {
  Element& element = add(lists, SetKind::refused, vip.address.family(), vip, refused.comment);
  element.jump = refused.refusal == Refusal::reject ? chain_refuse : nullptr;
}
void add_stale(ElementLists& lists, const Mapping& mapping, const std::string& comment) {
  add(lists, SetKind::stale, mapping.vip.address.family(), mapping, comment);
}
void add_moved(ElementLists& lists, const Vip& vip, const std::string& comment) {
  add(lists, SetKind::moved, vip.address.family(), vip, comment);
}
void add_hold(ElementLists& lists, const Mapping& mapping, const std::string& comment) {
  add(lists, SetKind::hold, mapping.vip.address.family(), mapping, comment);
}
void add_source(ElementLists& lists, const Mapping& mapping, const Source& source) {
  const Family family = mapping.vip.address.family();
  switch (source.snat.kind) {
  case SnatKind::none: return;
  case SnatKind::masquerade: add(lists, SetKind::masquerade, family, mapping, source.comment).jump = chain_masquerade; return;
  case SnatKind::hairpin: add(lists, SetKind::masquerade, family, mapping, source.comment).jump = chain_hairpin; return;
  case SnatKind::address: add(lists, SetKind::source, family, mapping, source.comment).data.add(source.snat.address); return;
  }
}
void add_armed(ElementLists& lists, const Address& address) {
  Element& element = lists[{SetKind::armed, address.family(), false}].emplace_back();
  element.key.add(address);
  element.jump = guard_of(address.family());
}

SetPtr to_message_set(const std::string& table, SetId id, std::span<const Element> elements, bool keys_only) {
  auto set = made(SetPtr{nftnl_set_alloc()});
  nftnl_set_set_u32(set.get(), NFTNL_SET_FAMILY, NFPROTO_INET);
  nftnl_set_set_str(set.get(), NFTNL_SET_TABLE, table.c_str());
  nftnl_set_set_str(set.get(), NFTNL_SET_NAME, name_of(id).c_str());
  for (const Element& element : elements) nftnl_set_elem_add(set.get(), to_message_element(id, element, keys_only)); // the set frees it
  return set;
}

SetPtr to_alive_message_set(const std::string& table) {
  auto set = made(SetPtr{nftnl_set_alloc()});
  nftnl_set_set_u32(set.get(), NFTNL_SET_FAMILY, NFPROTO_INET);
  nftnl_set_set_str(set.get(), NFTNL_SET_TABLE, table.c_str());
  nftnl_set_set_str(set.get(), NFTNL_SET_NAME, set_alive);
  const auto tcp = static_cast<std::uint8_t>(Protocol::tcp); // the guard looks the packet's own protocol up: always TCP there
  nftnl_set_elem* element = made(nftnl_set_elem_alloc());
  nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, &tcp, sizeof tcp);
  nftnl_set_elem_add(set.get(), element); // the set frees it
  return set;
}

Armed armed_by(const Rules& rules) {
  Armed armed;
  for (const auto& [vip, refused] : rules.refused) ++armed[vip.address];
  for (const auto& [mapping, comment] : rules.stale) ++armed[mapping.vip.address];
  for (const auto& [vip, comment] : rules.moved) ++armed[vip.address];
  return armed;
}

void decode(SetId id, const nftnl_set& set, Decoded& into) {
  struct Context {
    SetId id;
    Decoded* into;
  } context{id, &into};
  nftnl_set_elem_foreach(
      const_cast<nftnl_set*>(&set), // libnftnl reads only
      [](nftnl_set_elem* element, void* data) {
        const auto& [where, out] = *static_cast<Context*>(data);
        if (!decode_one(where, element, *out)) ++out->foreign;
        return 0;
      },
      &context);
}

} // namespace hanat::nat
