// The elements of `flows`, with the servers that the DNAT maps have for the same keys; and those of ranges.
#include "nat/nftables/flow_counts.hpp"

#include <optional>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "nat/nftables/comment.hpp"

namespace hanat::nat {
namespace {

struct Counted {
  const std::string& set;
  std::vector<FlowCount> counts = {};
};

/// NAT chains see a flow's first packet only, so it counts flows.
int read_counter(nftnl_expr* expression, void* flows) {
  if (std::string_view{nftnl_expr_get_str(expression, NFTNL_EXPR_NAME)} == "counter")
    *static_cast<std::optional<std::uint64_t>*>(flows) = nftnl_expr_get_u64(expression, NFTNL_EXPR_CTR_PACKETS);
  return 0;
}

int add_count(nftnl_set_elem* element, void* data) {
  std::uint32_t length = 0;
  const auto* const key = static_cast<const char*>(nftnl_set_elem_get(element, NFTNL_SET_ELEM_KEY, &length));
  if (key == nullptr) return 0;
  auto& into = *static_cast<Counted*>(data);
  FlowCount count{.element = into.set + std::string{key, length}, .comment = {}};
  const void* const user = nftnl_set_elem_get(element, NFTNL_SET_ELEM_USERDATA, &length);
  count.comment = comment_in(user, length);
  std::optional<std::uint64_t> flows;
  nftnl_set_elem_expr_foreach(element, read_counter, &flows);
  count.flows = flows.value_or(0);
  into.counts.push_back(std::move(count));
  return 0;
}

} // namespace

std::vector<FlowCount> flow_counts_in(const std::string& name, const nftnl_set& set) {
  Counted counted{.set = name};
  nftnl_set_elem_foreach(const_cast<nftnl_set*>(&set), add_count, &counted); // only read by libnftnl
  return std::move(counted.counts);
}

std::vector<FlowCount> FlowCountReader::read() {
  std::vector<FlowCount> counts;
  for (const Family family : both_families) {
    const std::string flows = name_of({SetKind::flows, family}), dnat = name_of({SetKind::dnat, family});
    std::unordered_map<std::string_view, const FlowCount*> targets; // by key
    const auto servers = read({dnat});
    for (const FlowCount& server : servers) targets.emplace(std::string_view{server.element}.substr(dnat.size()), &server);
    for (FlowCount& count : read({flows})) {
      const auto target = targets.find(std::string_view{count.element}.substr(flows.size()));
      if (target != targets.end()) count.comment = target->second->comment;
      count.restarts = false;
      counts.push_back(std::move(count));
    }
  }
  for (std::uint8_t number = 1; number <= most_range_numbers; ++number) try {
      const auto of_ranges =
          read({name_of({SetKind::dnat, Family::ipv4, true, number}), name_of({SetKind::dnat, Family::ipv6, true, number})});
      counts.insert(counts.end(), of_ranges.begin(), of_ranges.end());
    } catch (const std::system_error& error) {
      if (error.code() == std::errc::no_such_file_or_directory) break; // no range has this number
      throw;
    }
  return counts;
}

std::vector<FlowCount> FlowCountReader::read(const std::vector<std::string>& maps) {
  std::vector<FlowCount> counts;
  dump_.read(maps, "read the counters of flows",
             {.begin = [&] { counts.clear(); },
              .part =
                  [&](const std::string& name, const nftnl_set& set) {
                    for (FlowCount& count : flow_counts_in(name, set)) counts.push_back(std::move(count));
                  }});
  return counts;
}

} // namespace hanat::nat
