// Dumps of nf_tables, message by message.
#include "nat/nftables/table_reader.hpp"

#include <array>
#include <string_view>
#include <utility>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "nat/nftables/comment.hpp"
#include "nat/nftables/commit_watch.hpp"
#include "nat/nftables/request.hpp"
#include "nat/nftables/rule_writer.hpp"

namespace hanat::nat {

LayoutText to_text(const Layout& layout) {
  LayoutText text;
  for (const auto& set : layout.sets) text.sets[nftnl_set_get_str(set.get(), NFTNL_SET_NAME)] = describe(*set);
  for (const auto& chain : layout.chains) text.chains[nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_NAME)] = describe(*chain);
  for (const auto& rule : layout.rules) text.rules[nftnl_rule_get_str(rule.get(), NFTNL_RULE_CHAIN)] += describe(*rule);
  return text;
}

LayoutText with_offloading(LayoutText text, const std::string& table) {
  const Offloading offloading = make_offloading(table);
  text.flowtables[flowtable_name] = describe(*offloading.flowtable);
  text.chains[chain_offloading] = describe(*offloading.chain);
  for (const auto& rule : offloading.rules) text.rules[chain_offloading] += describe(*rule);
  return text;
}

void TableReader::dump(std::uint16_t type, const std::function<void(nlmsghdr*)>& fill, const Netlink::OnMessage& on_message,
                       const char* what) {
  std::array<std::uint8_t, 4096> request{};
  nlmsghdr* header = put_nft_header(request, nft_type(type), NLM_F_DUMP, socket_.next_sequence());
  if (fill) fill(header);
  socket_.exchange({request.data(), header->nlmsg_len}, header->nlmsg_seq, header->nlmsg_seq, what, on_message);
}

std::uint32_t TableReader::generation() {
  std::array<std::uint8_t, 256> request{};
  nlmsghdr* header = put_nft_header(request, nft_type(NFT_MSG_GETGEN), NLM_F_ACK, socket_.next_sequence());
  std::uint32_t result = 0;
  socket_.exchange({request.data(), header->nlmsg_len}, header->nlmsg_seq, header->nlmsg_seq, "read the generation of nf_tables",
                   [&](const nlmsghdr& reply) { result = generation_in(reply); });
  return result;
}

std::optional<FoundTable> TableReader::find_table() {
  std::optional<FoundTable> found;
  dump(
      NFT_MSG_GETTABLE, {},
      [&](const nlmsghdr& reply) {
        const auto table = made(TablePtr{nftnl_table_alloc()});
        if (nftnl_table_nlmsg_parse(&reply, table.get()) != 0) return;
        if (nftnl_table_get_u32(table.get(), NFTNL_TABLE_FAMILY) != NFPROTO_INET) return;
        if (table_ != nftnl_table_get_str(table.get(), NFTNL_TABLE_NAME)) return;
        std::uint32_t length = 0;
        const void* data = nftnl_table_get_data(table.get(), NFTNL_TABLE_USERDATA, &length);
        found = FoundTable{.comment = comment_in(data, length),
                           .flags = nftnl_table_get_u32(table.get(), NFTNL_TABLE_FLAGS),
                           .owner = nftnl_table_get_u32(table.get(), NFTNL_TABLE_OWNER)};
      },
      "list the tables of nf_tables");
  return found;
}

LayoutText TableReader::read_layout() {
  LayoutText text;
  const auto ours = [this](const char* table) { return table != nullptr && table_ == table; };
  const auto name_table = [this](nlmsghdr* header) { mnl_attr_put_strz(header, NFTA_SET_TABLE, table_.c_str()); };
  dump(
      NFT_MSG_GETSET, name_table,
      [&](const nlmsghdr& reply) {
        const auto set = made(SetPtr{nftnl_set_alloc()});
        if (nftnl_set_nlmsg_parse(&reply, set.get()) != 0 || !ours(nftnl_set_get_str(set.get(), NFTNL_SET_TABLE))) return;
        text.sets[nftnl_set_get_str(set.get(), NFTNL_SET_NAME)] = describe(*set);
      },
      "list the sets of hanat's table");
  dump(
      NFT_MSG_GETCHAIN, {},
      [&](const nlmsghdr& reply) {
        const auto chain = made(ChainPtr{nftnl_chain_alloc()});
        if (nftnl_chain_nlmsg_parse(&reply, chain.get()) != 0 || !ours(nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_TABLE))) return;
        text.chains[nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_NAME)] = describe(*chain);
      },
      "list the chains of hanat's table");
  dump(
      NFT_MSG_GETRULE, [this](nlmsghdr* header) { mnl_attr_put_strz(header, NFTA_RULE_TABLE, table_.c_str()); },
      [&](const nlmsghdr& reply) {
        const auto rule = made(RulePtr{nftnl_rule_alloc()});
        if (nftnl_rule_nlmsg_parse(&reply, rule.get()) != 0 || !ours(nftnl_rule_get_str(rule.get(), NFTNL_RULE_TABLE))) return;
        text.rules[nftnl_rule_get_str(rule.get(), NFTNL_RULE_CHAIN)] += describe(*rule);
      },
      "list the rules of hanat's table");
  read_flowtables([&](const nftnl_flowtable& flowtable, const std::string& name) { text.flowtables[name] = describe(flowtable); });
  return text;
}

std::uint8_t range_numbers_in(const LayoutText& layout) {
  std::uint8_t number = 0;
  while (number < most_range_numbers &&
         layout.sets.contains(name_of({SetKind::ranges, Family::ipv4, true, static_cast<std::uint8_t>(number + 1)})))
    ++number;
  return number;
}

Decoded TableReader::read_elements(const LayoutText& found, const LayoutText& intended) {
  // The text of a set without its name.
  const auto shape = [](const std::string& text) { return std::string_view{text}.substr(text.find(" flags ")); };
  Decoded into;
  const auto read_set = [&](SetId id, const std::string& name) {
    dump(
        NFT_MSG_GETSETELEM,
        [&](nlmsghdr* header) {
          mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_TABLE, table_.c_str());
          mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_SET, name.c_str());
        },
        [&](const nlmsghdr& reply) {
          const auto set = made(SetPtr{nftnl_set_alloc()});
          if (nftnl_set_elems_nlmsg_parse(&reply, set.get()) == 0) decode(id, *set, into);
        },
        "list the elements of hanat's table");
  };
  const auto read = [&](SetId id, const std::string& as_intended) {
    for (const std::string& name : {name_of(id), name_in_layout_3(id)}) {
      const auto as_found = found.sets.find(name);
      if (as_found == found.sets.end()) continue;
      if (shape(as_found->second) == shape(as_intended)) read_set(id, name);
      return;
    }
  };
  for (const SetId id : set_ids()) read(id, intended.sets.at(name_of(id)));
  for (std::uint8_t number = 1; number <= range_numbers_in(intended); ++number)
    for (const SetId id : set_ids_of_range(number)) read(id, intended.sets.at(name_of(id)));
  const auto ids = set_ids_of_layout_9();
  const auto sets = make_sets_of_layout_9(table_);
  for (std::size_t index = 0; index < ids.size(); ++index) read(ids[index], describe(*sets[index]));
  return into;
}

void TableReader::read_flowtables(const std::function<void(const nftnl_flowtable& flowtable, const std::string& name)>& on_flowtable) {
  dump(
      NFT_MSG_GETFLOWTABLE, [this](nlmsghdr* header) { mnl_attr_put_strz(header, NFTA_FLOWTABLE_TABLE, table_.c_str()); },
      [&](const nlmsghdr& reply) {
        const auto flowtable = made(FlowtablePtr{nftnl_flowtable_alloc()});
        if (nftnl_flowtable_nlmsg_parse(&reply, flowtable.get()) != 0) return;
        const char* table = nftnl_flowtable_get_str(flowtable.get(), NFTNL_FLOWTABLE_TABLE);
        const char* name = nftnl_flowtable_get_str(flowtable.get(), NFTNL_FLOWTABLE_NAME);
        const bool inet = nftnl_flowtable_get_u32(flowtable.get(), NFTNL_FLOWTABLE_FAMILY) == NFPROTO_INET;
        if (inet && table != nullptr && name != nullptr && table_ == table) on_flowtable(*flowtable, name);
      },
      "list the flowtables of hanat's table");
}

Devices TableReader::read_devices() {
  Devices devices;
  read_flowtables([&](const nftnl_flowtable& flowtable, const std::string& name) {
    if (name != flowtable_name || !nftnl_flowtable_is_set(&flowtable, NFTNL_FLOWTABLE_DEVICES)) return;
    for (const char* const* device = nftnl_flowtable_get_array(&flowtable, NFTNL_FLOWTABLE_DEVICES);
         device != nullptr && *device != nullptr; ++device)
      devices.emplace(*device);
  });
  return devices;
}

} // namespace hanat::nat
