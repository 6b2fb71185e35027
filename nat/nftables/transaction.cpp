// Builds batches of nf_tables messages with libnftnl.
#include "nat/nftables/transaction.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <arpa/inet.h>
#include <libmnl/libmnl.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "nat/nftables/comment.hpp"
#include "nat/nftables/layout.hpp"
#include "nat/nftables/request.hpp"

namespace hanat::nat {
namespace {

constexpr std::size_t devices_per_message = 128;             // the kernel takes less than 256
constexpr std::size_t message_bytes = std::size_t{96} << 10; // one list and its headers

} // namespace

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

template <typename Fill> void TransactionBuilder::message(std::uint16_t type, std::uint16_t flags, const Fill& fill) {
  thread_local std::vector<std::uint8_t> scratch(message_bytes);
  const bool batch_message = type == NFNL_MSG_BATCH_BEGIN || type == NFNL_MSG_BATCH_END;
  nlmsghdr* header = put_nft_header(scratch, batch_message ? type : nft_type(type), flags, sequence_++);
  fill(header);
  if (!batch_message) {
    last_message_ = transaction_.bytes.size();
    transaction_.last_sequence = header->nlmsg_seq;
  }
  const std::size_t length = (std::size_t{header->nlmsg_len} + 3) / 4 * 4;
  transaction_.bytes.insert(transaction_.bytes.end(), scratch.data(), scratch.data() + length);
  std::fill_n(scratch.data(), length,
              std::uint8_t{0}); // libmnl does not clear the padding of attributes, so the next message must start with zeros
}

TransactionBuilder& TransactionBuilder::add_table(std::uint32_t flags) { return add_table(flags, table_comment()); }

TransactionBuilder& TransactionBuilder::add_table(std::uint32_t flags, const std::string& comment) {
  const auto object = made(TablePtr{nftnl_table_alloc()});
  nftnl_table_set_u32(object.get(), NFTNL_TABLE_FAMILY, NFPROTO_INET);
  nftnl_table_set_str(object.get(), NFTNL_TABLE_NAME, table_.c_str());
  nftnl_table_set_u32(object.get(), NFTNL_TABLE_FLAGS, flags);
  const auto data = comment_data(comment);
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

TransactionBuilder& TransactionBuilder::add_layout(const RuleOptions& options) { return add_objects(make_layout(table_, options)); }

TransactionBuilder& TransactionBuilder::add_objects(const Layout& layout) {
  for (const auto& set : layout.sets)
    message(NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL, [&](nlmsghdr* header) { nftnl_set_nlmsg_build_payload(header, set.get()); });
  for (const auto& chain : layout.chains) add_chain(chain.get());
  for (const auto& rule : layout.rules) add_rule(rule.get());
  return *this;
}

void TransactionBuilder::elements(std::uint16_t type, std::uint16_t flags, const ElementLists& lists) {
  for (const auto& [id, list] : lists) {
    const std::string name = name_of(id);
    for (std::size_t index = 0; index < list.parts(); ++index)
      message(type, flags, [&](nlmsghdr* header) {
        const nlmsghdr* const part = list.part(index);
        mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_TABLE, table_.c_str());
        mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_SET, name.c_str());
        mnl_attr_put(header, NLA_F_NESTED | NFTA_SET_ELEM_LIST_ELEMENTS, mnl_nlmsg_get_payload_len(part), mnl_nlmsg_get_payload(part));
      });
  }
}

TransactionBuilder& TransactionBuilder::add_elements(const nftnl_set& set) {
  message(NFT_MSG_NEWSETELEM, NLM_F_CREATE,
          [&](nlmsghdr* header) { nftnl_set_elems_nlmsg_build_payload(header, const_cast<nftnl_set*>(&set)); }); // only read by libnftnl
  return *this;
}
TransactionBuilder& TransactionBuilder::delete_elements(const nftnl_set& set) {
  message(NFT_MSG_DELSETELEM, 0, [&](nlmsghdr* header) { nftnl_set_elems_nlmsg_build_payload(header, const_cast<nftnl_set*>(&set)); });
  return *this;
}

TransactionBuilder& TransactionBuilder::change(const Difference& difference) {
  elements(NFT_MSG_DELSETELEM, 0, difference.deleted);
  elements(NFT_MSG_NEWSETELEM, NLM_F_CREATE, difference.added);
  return *this;
}

TransactionBuilder& TransactionBuilder::heartbeat() {
  const SetPtr element = to_heartbeat_message_set(table_);
  const auto fill = [&](nlmsghdr* header) { nftnl_set_elems_nlmsg_build_payload(header, element.get()); };
  message(NFT_MSG_NEWSETELEM, NLM_F_CREATE, fill);
  message(NFT_MSG_DELSETELEM, 0, fill);
  message(NFT_MSG_NEWSETELEM, NLM_F_CREATE, fill);
  return *this;
}

void TransactionBuilder::add_chain(const nftnl_chain* chain) {
  message(NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL, [&](nlmsghdr* header) { nftnl_chain_nlmsg_build_payload(header, chain); });
}
void TransactionBuilder::add_rule(nftnl_rule* rule) {
  message(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, [&](nlmsghdr* header) { nftnl_rule_nlmsg_build_payload(header, rule); });
}

TransactionBuilder& TransactionBuilder::add_untracked_replies(const ProbePorts& ports) {
  const UntrackedReplies replies = make_untracked_replies(table_, ports);
  add_chain(replies.chain.get());
  add_rule(replies.rule.get());
  return *this;
}

/// Its rules go, too.
void TransactionBuilder::delete_chain(const char* name) {
  const auto object = made(ChainPtr{nftnl_chain_alloc()});
  nftnl_chain_set_u32(object.get(), NFTNL_CHAIN_FAMILY, NFPROTO_INET);
  nftnl_chain_set_str(object.get(), NFTNL_CHAIN_TABLE, table_.c_str());
  nftnl_chain_set_str(object.get(), NFTNL_CHAIN_NAME, name);
  message(NFT_MSG_DELCHAIN, 0, [&](nlmsghdr* header) { nftnl_chain_nlmsg_build_payload(header, object.get()); });
}

TransactionBuilder& TransactionBuilder::delete_untracked_replies() {
  delete_chain(chain_untracked);
  return *this;
}

TransactionBuilder& TransactionBuilder::add_offloading() {
  const Offloading offloading = make_offloading(table_);
  message(NFT_MSG_NEWFLOWTABLE, NLM_F_CREATE | NLM_F_EXCL,
          [&](nlmsghdr* header) { nftnl_flowtable_nlmsg_build_payload(header, offloading.flowtable.get()); });
  add_chain(offloading.chain.get());
  for (const auto& rule : offloading.rules) add_rule(rule.get());
  return *this;
}

TransactionBuilder& TransactionBuilder::delete_offloading() {
  delete_chain(chain_offloading);
  message(NFT_MSG_DELFLOWTABLE, 0, [&](nlmsghdr* header) { nftnl_flowtable_nlmsg_build_payload(header, make_flowtable(table_).get()); });
  return *this;
}

void TransactionBuilder::devices(std::uint16_t type, std::uint16_t flags, const Devices& names) {
  for (auto next = names.begin(); next != names.end();) {
    std::vector<const char*> part;
    for (; next != names.end() && part.size() < devices_per_message; ++next) part.push_back(next->c_str());
    part.push_back(nullptr);
    const auto flowtable = make_flowtable(table_);
    nftnl_flowtable_set_array(flowtable.get(), NFTNL_FLOWTABLE_DEVICES, part.data());
    message(type, flags, [&](nlmsghdr* header) { nftnl_flowtable_nlmsg_build_payload(header, flowtable.get()); });
  }
}
TransactionBuilder& TransactionBuilder::change_devices(const Devices& gone, const Devices& come) {
  devices(NFT_MSG_DELFLOWTABLE, 0, gone);
  devices(NFT_MSG_NEWFLOWTABLE, NLM_F_CREATE, come);
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
