// The flows of mappings, counted by state, and some of them one by one. Not here: the dumps that find them (cut: Cutter::list), what the
// counts mean (daemon).
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "nat/address.hpp"
#include "nat/conntrack/dump_plan.hpp"
#include "nat/conntrack/entry.hpp"
#include "nat/conntrack/socket.hpp"

namespace hanat::nat {

struct FlowCounts {
  std::array<std::uint64_t, 5> by_state{}; // in the order of FlowState
  std::uint64_t opened_by_server = 0, offloaded = 0;
};
struct ListedFlow {
  Mapping mapping;
  Endpoint vip, client;
  FlowState state = FlowState::opening;
  bool opened_by_server = false, offloaded = false;
};
struct FlowList {
  std::map<Mapping, FlowCounts> counts;
  std::vector<ListedFlow> flows;
};

/// One scan. At most `at_most` flows are listed, each is counted. False: cancelled, or every dump was incomplete.
bool list_flows(ConntrackSocket& socket, Family family, const Scan& scan, std::size_t at_most, const std::atomic<bool>& cancelled,
                FlowList& into);

} // namespace hanat::nat
