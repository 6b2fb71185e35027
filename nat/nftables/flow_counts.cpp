// Dumps the DNAT maps.
#include "nat/nftables/flow_counts.hpp"

#include <array>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "nat/nftables/comment.hpp"
#include "nat/nftables/request.hpp"

namespace hanat::nat {
namespace {

constexpr int most_reads = 5; // a read is interrupted only by a commit during it

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

std::vector<FlowCount> FlowCountReader::read_once() {
  std::vector<FlowCount> counts;
  for (const SetId id : set_ids()) {
    if (id.kind != SetKind::dnat) continue;
    const std::string name = name_of(id);
    std::array<std::uint8_t, 512> request{};
    nlmsghdr* header = put_nft_header(request, nft_type(NFT_MSG_GETSETELEM), NLM_F_DUMP, socket_.next_sequence());
    mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_TABLE, table_.c_str());
    mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_SET, name.c_str());
    socket_.exchange({request.data(), header->nlmsg_len}, header->nlmsg_seq, header->nlmsg_seq, "read the counters of flows",
                     [&](const nlmsghdr& reply) {
                       const auto set = made(SetPtr{nftnl_set_alloc()});
                       if (nftnl_set_elems_nlmsg_parse(&reply, set.get()) != 0) return;
                       for (FlowCount& count : flow_counts_in(name, *set)) counts.push_back(std::move(count));
                     });
  }
  return counts;
}

std::vector<FlowCount> FlowCountReader::read() {
  for (int reads = 1;; ++reads) try {
      return read_once();
    } catch (const std::system_error& error) {
      if (error.code() != std::errc::interrupted || reads == most_reads) throw;
    }
}

} // namespace hanat::nat
