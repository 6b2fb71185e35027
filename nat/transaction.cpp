// Batches of nf_tables messages through libnftnl.
#include "nat/transaction.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <arpa/inet.h>
#include <libmnl/libmnl.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "nat/comment.hpp"
#include "nat/layout.hpp"

namespace hanat::nat {
namespace {

// An element list is one attribute of at most 64 KiB; the largest element (IPv6 mapping with data and a comment of 128 bytes) takes about
// 320.
constexpr std::size_t elements_a_message = 190;
constexpr std::size_t message_bytes = std::size_t{96} << 10; // one list and its headers

/// Visits two ordered maps side by side: what only the old one has or has otherwise is deleted, what only the new one has or has otherwise
/// is added.
template <typename Map, typename Add> void compare(const Map& from, const Map& to, Difference& result, const Add& add) {
  auto old = from.begin();
  auto wanted = to.begin();
  while (old != from.end() || wanted != to.end()) {
    const bool gone = wanted == to.end() || (old != from.end() && old->first < wanted->first);
    const bool fresh = old == from.end() || (wanted != to.end() && wanted->first < old->first);
    if (!gone && !fresh && old->second == wanted->second) {
      ++old, ++wanted;
      continue;
    }
    if (!fresh) add(result.deleted, old->first, old->second), ++old;
    if (!gone) add(result.added, wanted->first, wanted->second), ++wanted;
  }
}

} // namespace

Difference difference(std::span<const Step> steps) {
  Difference result;
  for (const auto& [from, to] : steps) {
    compare(from.known, to.known, result, add_known);
    compare(from.target, to.target, result, add_target);
    compare(from.refused, to.refused, result, add_refused);
    compare(from.stale, to.stale, result, add_stale);
    compare(from.moved, to.moved, result, add_moved);
    compare(from.hold, to.hold, result, add_hold);
    compare(from.source, to.source, result, add_source);
  }
  return result;
}

Difference difference(const Rules& from, const Rules& to) {
  const Step one{.from = from, .to = to};
  return difference({&one, 1});
}

TransactionBuilder::TransactionBuilder(std::string table, std::uint32_t first_sequence, std::optional<std::uint32_t> generation)
    : table_(std::move(table)), sequence_(first_sequence) {
  transaction_.first_sequence = first_sequence;
  transaction_.bytes.reserve(2048);
  message(NFNL_MSG_BATCH_BEGIN, 0, [&](nlmsghdr* header) {
    auto* batch = static_cast<nfgenmsg*>(mnl_nlmsg_get_payload(header));
    batch->nfgen_family = AF_UNSPEC;
    batch->res_id = htons(NFNL_SUBSYS_NFTABLES);
    if (generation) mnl_attr_put_u32(header, NFNL_BATCH_GENID, htonl(*generation));
  });
}

void TransactionBuilder::message(std::uint16_t type, std::uint16_t flags, const Fill& fill) {
  thread_local std::vector<std::uint8_t> scratch(message_bytes);
  nlmsghdr* header = mnl_nlmsg_put_header(scratch.data());
  const bool batch_mark = type == NFNL_MSG_BATCH_BEGIN || type == NFNL_MSG_BATCH_END;
  header->nlmsg_type = batch_mark ? type : static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type);
  header->nlmsg_flags = NLM_F_REQUEST | flags;
  header->nlmsg_seq = sequence_++;
  auto* extra = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
  extra->nfgen_family = NFPROTO_INET;
  extra->version = NFNETLINK_V0;
  extra->res_id = 0;
  if (fill) fill(header);
  if (!batch_mark) {
    last_message_ = transaction_.bytes.size();
    transaction_.last_sequence = header->nlmsg_seq;
  }
  const std::size_t length = (std::size_t{header->nlmsg_len} + 3) / 4 * 4;
  transaction_.bytes.insert(transaction_.bytes.end(), scratch.data(), scratch.data() + length);
  std::fill_n(scratch.data(), length, std::uint8_t{0}); // libmnl does not clear the padding of attributes: the next message must find zeros
}

TransactionBuilder& TransactionBuilder::add_table(std::uint32_t flags) {
  const auto object = made(TablePtr{nftnl_table_alloc()});
  nftnl_table_set_u32(object.get(), NFTNL_TABLE_FAMILY, NFPROTO_INET);
  nftnl_table_set_str(object.get(), NFTNL_TABLE_NAME, table_.c_str());
  nftnl_table_set_u32(object.get(), NFTNL_TABLE_FLAGS, flags);
  const auto data = comment_data(table_comment());
  nftnl_table_set_data(object.get(), NFTNL_TABLE_USERDATA, nftnl_udata_buf_data(data.get()), nftnl_udata_buf_len(data.get()));
  message(NFT_MSG_NEWTABLE, NLM_F_CREATE, [&](nlmsghdr* header) { nftnl_table_nlmsg_build_payload(header, object.get()); });
  return *this;
}

TransactionBuilder& TransactionBuilder::delete_table() {
  const auto object = made(TablePtr{nftnl_table_alloc()});
  nftnl_table_set_u32(object.get(), NFTNL_TABLE_FAMILY, NFPROTO_INET);
  nftnl_table_set_str(object.get(), NFTNL_TABLE_NAME, table_.c_str());
  message(NFT_MSG_DELTABLE, 0, [&](nlmsghdr* header) { nftnl_table_nlmsg_build_payload(header, object.get()); });
  return *this;
}

TransactionBuilder& TransactionBuilder::add_layout() {
  const Layout layout = make_layout(table_);
  for (const auto& set : layout.sets)
    message(NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL, [&](nlmsghdr* header) { nftnl_set_nlmsg_build_payload(header, set.get()); });
  for (const auto& chain : layout.chains)
    message(NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL, [&](nlmsghdr* header) { nftnl_chain_nlmsg_build_payload(header, chain.get()); });
  for (const auto& rule : layout.rules)
    message(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, [&](nlmsghdr* header) { nftnl_rule_nlmsg_build_payload(header, rule.get()); });
  return *this;
}

void TransactionBuilder::elements(std::uint16_t type, std::uint16_t flags, const ElementLists& lists, bool keys_only) {
  for (const auto& [id, list] : lists)
    for (std::span<const Element> left{list}; !left.empty();) {
      const auto part = left.first(std::min(left.size(), elements_a_message));
      left = left.subspan(part.size());
      const SetPtr set = to_message_set(table_, id, part, keys_only);
      message(type, flags, [&](nlmsghdr* header) { nftnl_set_elems_nlmsg_build_payload(header, set.get()); });
    }
}

TransactionBuilder& TransactionBuilder::add_elements(const ElementLists& lists) {
  elements(NFT_MSG_NEWSETELEM, NLM_F_CREATE, lists, false);
  return *this;
}
TransactionBuilder& TransactionBuilder::delete_elements(const ElementLists& lists) {
  elements(NFT_MSG_DELSETELEM, 0, lists, true);
  return *this;
}

TransactionBuilder& TransactionBuilder::change(std::span<const Step> steps, const Armed& armed_before, const Armed& armed_after) {
  Difference changes = difference(steps);
  for (const auto& [address, count] : armed_before)
    if (!armed_after.contains(address)) add_armed(changes.deleted, address);
  for (const auto& [address, count] : armed_after)
    if (!armed_before.contains(address)) add_armed(changes.added, address);
  return delete_elements(changes.deleted).add_elements(changes.added);
}

TransactionBuilder& TransactionBuilder::beat() {
  const SetPtr alive = to_alive_message_set(table_);
  const auto fill = [&](nlmsghdr* header) { nftnl_set_elems_nlmsg_build_payload(header, alive.get()); };
  message(NFT_MSG_NEWSETELEM, NLM_F_CREATE, fill);
  message(NFT_MSG_DELSETELEM, 0, fill);
  message(NFT_MSG_NEWSETELEM, NLM_F_CREATE, fill);
  return *this;
}

TransactionBuilder& TransactionBuilder::add_untracked_answers() {
  const UntrackedAnswers answers = make_untracked_answers(table_);
  message(NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL,
          [&](nlmsghdr* header) { nftnl_chain_nlmsg_build_payload(header, answers.chain.get()); });
  message(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND,
          [&](nlmsghdr* header) { nftnl_rule_nlmsg_build_payload(header, answers.rule.get()); });
  return *this;
}

/// A chain takes its rules along.
TransactionBuilder& TransactionBuilder::delete_untracked_answers() {
  const auto object = made(ChainPtr{nftnl_chain_alloc()});
  nftnl_chain_set_u32(object.get(), NFTNL_CHAIN_FAMILY, NFPROTO_INET);
  nftnl_chain_set_str(object.get(), NFTNL_CHAIN_TABLE, table_.c_str());
  nftnl_chain_set_str(object.get(), NFTNL_CHAIN_NAME, chain_untracked);
  message(NFT_MSG_DELCHAIN, 0, [&](nlmsghdr* header) { nftnl_chain_nlmsg_build_payload(header, object.get()); });
  return *this;
}

Transaction TransactionBuilder::finish() {
  if (last_message_ != 0)
    reinterpret_cast<nlmsghdr*>(transaction_.bytes.data() + last_message_)->nlmsg_flags |= NLM_F_ACK;
  else
    transaction_.last_sequence = transaction_.first_sequence;
  message(NFNL_MSG_BATCH_END, 0, [](nlmsghdr* header) {
    auto* batch = static_cast<nfgenmsg*>(mnl_nlmsg_get_payload(header));
    batch->nfgen_family = AF_UNSPEC;
    batch->res_id = htons(NFNL_SUBSYS_NFTABLES);
  });
  return std::move(transaction_);
}

} // namespace hanat::nat
