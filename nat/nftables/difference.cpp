// Compares ordered maps entry by entry, and turns the entries that differ into elements.
#include "nat/nftables/difference.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace hanat::nat {
namespace {

KeyBytes key_of(const Vip& vip, bool with_port) {
  KeyBytes bytes;
  bytes.add(vip.address);
  bytes.add(vip.protocol);
  if (with_port) bytes.add_port(vip.port);
  return bytes;
}

/// Flows of a range keep their port, so the key has the server's address without a port.
KeyBytes key_of(const Mapping& mapping, bool with_port) {
  KeyBytes bytes = key_of(mapping.vip, with_port);
  bytes.add(mapping.server.address);
  if (!is_range(mapping.vip)) bytes.add_port(mapping.server.port);
  return bytes;
}

/// An element of an exact endpoint, or of a range in a set of intervals.
template <typename Key> Element element_of(const Key& key, std::string_view comment) {
  const Vip& vip = vip_of(key);
  Element element{.key = key_of(key, true), .key_end = {}, .data = {}, .comment = comment};
  if (is_range(vip)) element.key_end = element.key.with_port(port_offset(vip.address.family()), vip.last);
  return element;
}
template <typename Key> SetId set_of(SetKind kind, const Key& key) {
  const Vip& vip = vip_of(key);
  return {kind, vip.address.family(), is_range(vip)};
}

/// An element of an exact endpoint, or of a range in a set with its number.
template <typename Key> Element numbered_element_of(const Key& key, std::string_view comment) {
  return {.key = key_of(key, !is_range(vip_of(key))), .key_end = {}, .data = {}, .comment = comment};
}
template <typename Key> SetId numbered_set_of(SetKind kind, const Key& key, std::uint8_t number) {
  SetId id = set_of(kind, key);
  if (id.ranges) id.number = number;
  return id;
}

void add_vip(ElementLists& lists, const Vip& vip, const std::string& comment, std::uint8_t) {
  lists.add(set_of(SetKind::vips, vip), element_of(vip, comment));
  if (!is_range(vip)) lists.add(set_of(SetKind::flows, vip), element_of(vip, {}));
}
void add_dnat(ElementLists& lists, const Vip& vip, const DnatTarget& target, std::uint8_t number) {
  Element element = numbered_element_of(vip, target.comment);
  element.data.add(target.server.address);
  if (!is_range(vip)) element.data.add_port(target.server.port); // a flow of a range keeps its port
  lists.add(numbered_set_of(SetKind::dnat, vip, number), element);
}
void add_reject(ElementLists& lists, const Vip& vip, const Reject& reject, std::uint8_t number) {
  Element element = numbered_element_of(vip, reject.comment);
  element.has_verdict = true;
  switch (reject.refusal) {
  case Refusal::reject: element.jump = chain_refuse; break;
  case Refusal::reject_new: element.jump = chain_refuse_new, element.returns = true; break;
  case Refusal::drop: break;
  }
  lists.add(numbered_set_of(SetKind::reject, vip, number), element);
}
void add_stale(ElementLists& lists, const Mapping& mapping, const std::string& comment, std::uint8_t number) {
  lists.add(numbered_set_of(SetKind::stale, mapping, number), numbered_element_of(mapping, comment));
}
void add_recent(ElementLists& lists, const Vip& vip, const std::string& comment, std::uint8_t number) {
  lists.add(numbered_set_of(SetKind::recent, vip, number), numbered_element_of(vip, comment));
}
void add_hold(ElementLists& lists, const Mapping& mapping, const std::string& comment, std::uint8_t number) {
  lists.add(numbered_set_of(SetKind::hold, mapping, number), numbered_element_of(mapping, comment));
}
void add_snat(ElementLists& lists, const Mapping& mapping, const SnatRule& rule, std::uint8_t) {
  if (rule.snat.kind == SnatKind::none) return;
  Element element = element_of(mapping, rule.comment);
  const bool fixed = rule.snat.kind == SnatKind::address;
  element.has_verdict = !fixed;
  if (fixed)
    element.data.add(rule.snat.address);
  else
    element.jump = rule.snat.kind == SnatKind::hairpin ? chain_hairpin : chain_masquerade;
  lists.add(set_of(fixed ? SetKind::snat : SetKind::masquerade, mapping), element);
}

void add_gate(ElementLists& lists, const Gate& gate) {
  const Family family = gate.address.family();
  Element element;
  if (is_family_gate(gate.kind)) {
    element.key.set(family);
    return lists.add({gate.kind, Family::ipv4, false}, element);
  }
  element.key.add(gate.address);
  if (gate.kind == SetKind::translated) {
    element.has_verdict = element.returns = true;
    element.jump = source_chain(family);
  }
  lists.add({gate.kind, family, false}, element);
}

/// The gate that leads to the guard's entries of a virtual endpoint.
template <typename Key, typename Value> std::optional<Gate> guard(const Key& key, const Value&) {
  return Gate{SetKind::guarded, vip_of(key).address};
}
template <typename Key, typename Value> std::optional<Gate> no_gate(const Key&, const Value&) { return std::nullopt; }
std::optional<Gate> gate_of_source(const Mapping& mapping, const SnatRule& rule) {
  return rule.snat.kind == SnatKind::none ? std::nullopt : std::optional{Gate{SetKind::translated, mapping.server.address}};
}

/// What an entry of a map becomes.
template <typename Key, typename Value> struct Becomes {
  void (*add)(ElementLists&, const Key&, const Value&, std::uint8_t number);
  std::optional<Gate> (*gate)(const Key&, const Value&) = no_gate<Key, Value>;
  bool numbered = true; // needs the number of its range
};
constexpr struct {
  Becomes<Vip, std::string> vips{add_vip};
  Becomes<Vip, DnatTarget> dnat{add_dnat};
  Becomes<Vip, Reject> reject{add_reject, guard};
  Becomes<Mapping, std::string> stale{add_stale, guard};
  Becomes<Vip, std::string> recent{add_recent, guard};
  Becomes<Mapping, std::string> hold{add_hold};
  Becomes<Mapping, SnatRule> snat{add_snat, gate_of_source, false};
} becomes;

/// One entry more, or less, that this gate leads to.
template <typename Counts> void count(Counts& gates, const std::optional<Gate>& gate, int by) {
  if (!gate) return;
  gates[*gate] += static_cast<typename Counts::mapped_type>(by);
  if (gate->kind == SetKind::guarded)
    gates[{SetKind::guarding, Address::unspecified(gate->address.family())}] += static_cast<typename Counts::mapped_type>(by);
}

/// An entry that only the old map has is deleted, one that only the new one has is added, and one with another value is deleted and added.
template <typename Map, typename Visit> void compare(const Map& from, const Map& to, const Visit& visit) {
  auto before = from.begin();
  auto after = to.begin();
  while (before != from.end() || after != to.end()) {
    const bool only_before = after == to.end() || (before != from.end() && before->first < after->first);
    const bool only_after = before == from.end() || (after != to.end() && after->first < before->first);
    if (!only_before && !only_after && before->second == after->second) {
      ++before, ++after;
      continue;
    }
    if (!only_after) visit(false, *before++);
    if (!only_before) visit(true, *after++);
  }
}

} // namespace

Difference difference(std::span<const Step> steps, const RangeNumbers& numbers) {
  Difference result;
  const auto number_of = [&](const Vip& range) {
    if (const std::uint8_t loaded = numbers.find(range); loaded != 0) return loaded;
    if (result.coming.find(range) == 0) result.coming.add(range, numbers.lowest_free(range, result.coming));
    return result.coming.find(range);
  };
  const auto compare_maps = [&](const auto& before, const auto& after, const auto& become) {
    compare(before, after, [&](bool adds, const auto& entry) {
      const bool numbered = become.numbered && is_range(vip_of(entry.first));
      const std::uint8_t number = numbered ? number_of(vip_of(entry.first)) : std::uint8_t{0};
      become.add(adds ? result.added : result.deleted, entry.first, entry.second, number);
      if (numbered) result.ranges[vip_of(entry.first)] += adds ? 1 : -1;
      count(result.gates, become.gate(entry.first, entry.second), adds ? 1 : -1);
    });
  };
  for (const auto& [from, to] : steps) for_each_set(compare_maps, from, to, becomes);
  return result;
}

Difference difference(const TableState& from, const TableState& to, const RangeNumbers& numbers) {
  const Step step{.from = from, .to = to};
  return difference({&step, 1}, numbers);
}

Difference difference(SetKind kind, const EndpointMap& from, const EndpointMap& to) {
  Difference result;
  compare(from, to, [&](bool adds, const auto& entry) {
    (adds ? result.added : result.deleted).add(set_of(kind, entry.first), element_of(entry.first, entry.second));
  });
  return result;
}

void add_shared(Difference& changes, const Gates& gates, const RangeNumbers& numbers) {
  for (const auto& [gate, by] : changes.gates) {
    const auto found = gates.find(gate);
    const int before = found == gates.end() ? 0 : static_cast<int>(found->second);
    if (before == 0 && before + by > 0) add_gate(changes.added, gate);
    if (before > 0 && before + by == 0) add_gate(changes.deleted, gate);
  }
  for (const auto& [range, by] : changes.ranges) {
    const int before = static_cast<int>(numbers.entries(range));
    const SetId id{SetKind::ranges, range.address.family(), true, before == 0 ? changes.coming.find(range) : numbers.find(range)};
    if (before == 0 && by > 0) changes.added.add(id, element_of(range, {}));
    if (before > 0 && before + by == 0) changes.deleted.add(id, element_of(range, {}));
  }
}

void apply_shared(const Difference& changes, Gates& gates, RangeNumbers& numbers) {
  for (const auto& [gate, by] : changes.gates) {
    unsigned& loaded = gates[gate];
    loaded += static_cast<unsigned>(by);
    if (loaded == 0) gates.erase(gate);
  }
  for (const auto& [range, by] : changes.ranges) {
    if (const std::uint8_t number = changes.coming.find(range); number != 0) numbers.add(range, number);
    numbers.count(range, by);
  }
}

bool count_entries(const TableState& state, RangeNumbers& numbers) {
  bool all = true;
  for_each_set(
      [&](const auto& entries, const auto& become) {
        if (!become.numbered) return;
        for (const auto& [key, value] : entries)
          if (is_range(vip_of(key))) all &= numbers.find(vip_of(key)) != 0, numbers.count(vip_of(key), 1);
      },
      state, becomes);
  return all;
}

Gates settling_gates() {
  Gates gates;
  for (const Family family : both_families)
    for (const SetKind kind : {SetKind::guarding, SetKind::settling}) ++gates[{kind, Address::unspecified(family)}];
  return gates;
}

Gates gates_of(const TableState& state, bool settling) {
  Gates gates = settling ? settling_gates() : Gates{};
  for_each_set(
      [&gates](const auto& entries, const auto& become) {
        for (const auto& [key, value] : entries) count(gates, become.gate(key, value), 1);
      },
      state, becomes);
  return gates;
}

} // namespace hanat::nat
