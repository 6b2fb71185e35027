// The sets that hanatd fills, and their names, now and in an older layout. Not here: their elements (set_elements), their shape (layout).
#include "nat/nftables/set_elements.hpp"

namespace hanat::nat {
namespace {

std::string with_suffix(const std::string& base, SetId id) {
  return base + (id.family == Family::ipv4 ? '4' : '6') + (id.ranges ? "_ranges" : "");
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
  case SetKind::settling: return name_of(id);
  }
  return {};
}

std::vector<SetId> set_ids() {
  std::vector<SetId> ids;
  for (const SetKind kind : set_kinds)
    for (const bool ranges : {false, true})
      for (const Family family : both_families)
        if (is_family_gate(kind) ? !ranges && family == Family::ipv4 : !ranges || !is_gate(kind)) ids.push_back({kind, family, ranges});
  return ids;
}

} // namespace hanat::nat
