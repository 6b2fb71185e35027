// A dump, entry by entry.
#include "nat/conntrack/flow_list.hpp"

#include "nat/conntrack/flow_finder.hpp"

namespace hanat::nat {
namespace {

constexpr int dumps_at_most = 3; // of a scan whose dumps are incomplete

struct ListCancelled {};

bool is_live(FlowState state) { return state != FlowState::closing; }

} // namespace

bool list_flows(ConntrackSocket& socket, Family family, const Scan& scan, std::size_t at_most, const std::atomic<bool>& cancelled,
                FlowList& into) try {
  const FlowFinder finder{scan};
  for (int dumps = 0; dumps < dumps_at_most; ++dumps) {
    FlowList found = into;
    const bool complete = socket.dump(family, scan.filter, {}, [&](const Entry& entry) {
      if (cancelled) throw ListCancelled{};
      const auto flow = finder.find(entry);
      if (!flow) return;
      const FlowState state = state_of(entry);
      const bool offloaded = is_offloaded(entry), by_server = flow->opener == Opener::server;
      FlowCounts& counts = found.counts[*flow->mapping];
      ++counts.by_state.at(static_cast<std::size_t>(state));
      if (offloaded) ++counts.offloaded;
      if (by_server && is_live(state)) ++counts.opened_by_server;
      if (found.flows.size() < at_most)
        found.flows.push_back({.mapping = *flow->mapping,
                               .vip = flow->vip,
                               .client = flow->client,
                               .state = state,
                               .opened_by_server = by_server,
                               .offloaded = offloaded});
    });
    if (!complete) continue;
    into = std::move(found);
    return true;
  }
  return false;
} catch (ListCancelled) {
  return false;
}

} // namespace hanat::nat
