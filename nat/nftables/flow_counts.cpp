// The elements of the DNAT maps.
#include "nat/nftables/flow_counts.hpp"

#include <optional>
#include <string_view>
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
  if (!flows) return 0;
  count.flows = *flows;
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
  std::vector<std::string> maps;
  for (const SetId id : set_ids())
    if (id.kind == SetKind::dnat) maps.push_back(name_of(id));
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
