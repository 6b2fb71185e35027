// Decodes keys and data of set elements. Gates are counted by difference.
#include "nat/nftables/set_elements.hpp"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "nat/nftables/comment.hpp"

namespace hanat::nat {
namespace {

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

/// The virtual endpoint at the front of a key; nullopt: hanat would not write this element. Of a set with a number the range has been read.
std::optional<Vip> decode_vip(SetId id, nftnl_set_elem* element, Reader& key, const RangeNumbers& numbers) {
  if (id.number != 0 && id.kind != SetKind::ranges) {
    const Address address = key.address(id.family);
    return numbers.range_of(address, key.protocol(), id.number);
  }
  Vip vip = key.vip(id.family);
  if (!id.ranges) return vip;
  const auto last = parse_last_port(id, element);
  if (!last) return std::nullopt;
  vip.last = *last;
  return vip;
}

bool decode_one(SetId id, nftnl_set_elem* element, Decoded& into) {
  std::uint32_t length = 0;
  const void* bytes = nftnl_set_elem_get(element, NFTNL_SET_ELEM_KEY, &length);
  Reader key{bytes, length};
  const std::string comment = comment_of(element);
  if (is_family_gate(id.kind)) {
    const auto family = key.family();
    return family && ++into.gates[{id.kind, Address::unspecified(*family)}] == 1;
  }
  if (is_gate(id.kind)) {
    const Address address = key.address(id.family);
    const bool leads_there = id.kind == SetKind::guarded || has_verdict(element, NFT_JUMP, source_chain(id.family));
    return key.good() && leads_there && ++into.gates[{id.kind, address}] == 1;
  }
  const auto found = decode_vip(id, element, key, into.numbers);
  if (!found) return false;
  const Vip& vip = *found;
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
  case SetKind::flows: return key.good() && into.counted.insert(vip).second;
  case SetKind::ranges: return key.good() && into.numbers.add(vip, id.number);
  case SetKind::servers:
  case SetKind::displaced:
  case SetKind::offloaded: return key.good() && into.endpoints[id.kind].emplace(vip, comment).second;
  case SetKind::guarding:
  case SetKind::settling:
  case SetKind::guarded:
  case SetKind::translated: break;
  }
  return false;
}

} // namespace

SetPtr make_named_set(const std::string& table, const std::string& name) {
  auto set = made(SetPtr{nftnl_set_alloc()});
  nftnl_set_set_u32(set.get(), NFTNL_SET_FAMILY, NFPROTO_INET);
  nftnl_set_set_str(set.get(), NFTNL_SET_TABLE, table.c_str());
  nftnl_set_set_str(set.get(), NFTNL_SET_NAME, name.c_str());
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

bool is_settling(const Gates& gates) {
  return std::ranges::any_of(gates, [](const auto& entry) { return entry.first.kind == SetKind::settling; });
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
