// The sets that hanatd fills, and their names, now and in an older layout. Not here: their elements (set_elements), their shape (layout).
#include "nat/nftables/set_elements.hpp"

#include <algorithm>
#include <array>

namespace hanat::nat {
namespace {

std::string with_suffix(const std::string& base, SetId id) {
  const std::string name = base + (id.family == Family::ipv4 ? '4' : '6');
  if (id.number != 0) return name + "_range" + std::to_string(id.number);
  return id.ranges ? name + "_ranges" : name;
}

/// What a flip changes.
constexpr std::array changing_kinds{SetKind::dnat, SetKind::reject, SetKind::stale, SetKind::recent, SetKind::hold};

bool has_intervals(SetKind kind) {
  return kind != SetKind::ranges && kind != SetKind::flows && !is_gate(kind) &&
         std::ranges::find(changing_kinds, kind) == changing_kinds.end();
}

} // namespace

std::string name_of(SetId id) {
  switch (id.kind) {
  case SetKind::vips: return with_suffix("vips", id);
  case SetKind::dnat: return with_suffix("dnat", id);
  case SetKind::reject: return with_suffix("reject", id);
  case SetKind::stale: return with_suffix("stale", id);
  case SetKind::recent: return with_suffix("recent", id);
  case SetKind::hold: return with_suffix("hold", id);
  case SetKind::guarding: return "guarding";
  case SetKind::guarded: return with_suffix("guarded", id);
  case SetKind::translated: return with_suffix("translated", id);
  case SetKind::masquerade: return with_suffix("masquerade", id);
  case SetKind::snat: return with_suffix("snat", id);
  case SetKind::servers: return with_suffix("servers", id);
  case SetKind::displaced: return with_suffix("displaced", id);
  case SetKind::settling: return "settling";
  case SetKind::flows: return with_suffix("flows", id);
  case SetKind::ranges: return "ranges" + std::string{id.family == Family::ipv4 ? "4_" : "6_"} + std::to_string(id.number);
  case SetKind::offloaded: return with_suffix("offloaded", id);
  }
  return {};
}

std::string name_in_layout_3(SetId id) {
  switch (id.kind) {
  case SetKind::vips: return with_suffix("known", id);
  case SetKind::dnat: return with_suffix("target", id);
  case SetKind::reject: return with_suffix("refused", id);
  case SetKind::recent: return with_suffix("moved", id);
  case SetKind::guarded: return with_suffix("armed", id);
  case SetKind::snat: return with_suffix("source", id);
  case SetKind::stale:
  case SetKind::hold:
  case SetKind::guarding:
  case SetKind::masquerade:
  case SetKind::translated:
  case SetKind::servers:
  case SetKind::displaced:
  case SetKind::settling:
  case SetKind::flows:
  case SetKind::ranges:
  case SetKind::offloaded: return name_of(id);
  }
  return {};
}

std::vector<SetId> set_ids() {
  std::vector<SetId> ids;
  for (const SetKind kind : set_kinds)
    for (const bool ranges : {false, true})
      for (const Family family : both_families) {
        const bool one_of_both = is_family_gate(kind) && family == Family::ipv6;
        if (ranges ? has_intervals(kind) : kind != SetKind::ranges && !one_of_both) ids.push_back({kind, family, ranges});
      }
  return ids;
}

std::vector<SetId> set_ids_of_range(std::uint8_t number) {
  std::vector<SetId> ids;
  ids.reserve(2 * (1 + changing_kinds.size()));
  for (const Family family : both_families) ids.push_back({SetKind::ranges, family, true, number});
  for (const SetKind kind : changing_kinds)
    for (const Family family : both_families) ids.push_back({kind, family, true, number});
  return ids;
}

std::vector<SetId> set_ids_of_layout_9() {
  std::vector<SetId> ids;
  ids.reserve(2 * changing_kinds.size());
  for (const SetKind kind : changing_kinds)
    for (const Family family : both_families) ids.push_back({kind, family, true});
  return ids;
}

} // namespace hanat::nat
