// Consistent dumps of the table. Not here: changing it (table).
#include <algorithm>
#include <array>
#include <map>
#include <ranges>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "nat/nftables/comment.hpp"
#include "nat/nftables/difference.hpp"
#include "nat/nftables/layout.hpp"
#include "nat/nftables/request.hpp"
#include "nat/nftables/rule_writer.hpp"
#include "nat/nftables/table.hpp"

namespace hanat::nat {
namespace {

constexpr int max_retries = 20; // a read is interrupted only by a commit during it

/// Up to which number ranges of ports have sets. Their names are ranges4_1, ranges6_1, and so on.
std::uint8_t range_numbers_in(const std::map<std::string, std::string>& sets) {
  std::uint8_t number = 0;
  while (number < most_range_numbers &&
         sets.contains(name_of({SetKind::ranges, Family::ipv4, true, static_cast<std::uint8_t>(number + 1)})))
    ++number;
  return number;
}

/// Whether hanat would write these elements, and no others beside them.
bool is_whole(const Decoded& decoded, bool all_numbered) {
  const Gates gates = gates_of(decoded.state, is_settling(decoded.gates));
  const auto is_counted = [&](const auto& entry) { return is_range(entry.first) || decoded.counted.contains(entry.first); };
  const auto is_vip = [&](const Vip& vip) { return decoded.state.vips.contains(vip); };
  const bool all_counted = std::ranges::all_of(decoded.state.vips, is_counted) && std::ranges::all_of(decoded.counted, is_vip);
  const bool all_in_use = std::ranges::all_of(decoded.numbers, [](const auto& range) { return range.second.entries != 0; });
  return decoded.foreign == 0 && all_numbered && all_in_use && all_counted &&
         std::ranges::equal(gates | std::views::keys, decoded.gates | std::views::keys);
}

} // namespace

/// The layout as text: sets and chains by name, rules in order.
struct NftTable::LayoutText {
  std::map<std::string, std::string> sets, chains, rules;
  bool operator==(const LayoutText&) const = default;
};

NftTable::LayoutText NftTable::intended_layout(const std::string& table, const RuleOptions& rules) {
  const Layout layout = make_layout(table, rules);
  LayoutText text;
  for (const auto& set : layout.sets) text.sets[nftnl_set_get_str(set.get(), NFTNL_SET_NAME)] = describe(*set);
  for (const auto& chain : layout.chains) text.chains[nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_NAME)] = describe(*chain);
  for (const auto& rule : layout.rules) text.rules[nftnl_rule_get_str(rule.get(), NFTNL_RULE_CHAIN)] += describe(*rule);
  return text;
}

void NftTable::dump(std::uint16_t type, const std::function<void(nlmsghdr*)>& fill, const Netlink::OnMessage& on_message,
                    const char* what) {
  std::array<std::uint8_t, 4096> request{};
  nlmsghdr* header = put_nft_header(request, nft_type(type), NLM_F_DUMP, socket_.next_sequence());
  if (fill) fill(header);
  socket_.exchange({request.data(), header->nlmsg_len}, header->nlmsg_seq, header->nlmsg_seq, what, on_message);
}

std::uint32_t NftTable::generation() {
  std::array<std::uint8_t, 256> request{};
  nlmsghdr* header = put_nft_header(request, nft_type(NFT_MSG_GETGEN), NLM_F_ACK, socket_.next_sequence());
  std::uint32_t result = 0;
  socket_.exchange({request.data(), header->nlmsg_len}, header->nlmsg_seq, header->nlmsg_seq, "read the generation of nf_tables",
                   [&](const nlmsghdr& reply) { result = generation_in(reply); });
  return result;
}

std::optional<FoundTable> NftTable::find_table() {
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

NftTable::LayoutText NftTable::read_layout() {
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
  return text;
}

/// Reads the sets that have the intended form, or that of an older layout. In a table of another version these may be only some.
Decoded NftTable::read_elements(const LayoutText& found, const LayoutText& intended) {
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
  for (std::uint8_t number = 1; number <= range_numbers_in(intended.sets); ++number)
    for (const SetId id : set_ids_of_range(number)) read(id, intended.sets.at(name_of(id)));
  const auto ids = set_ids_of_layout_9();
  const auto sets = make_sets_of_layout_9(table_);
  for (std::size_t index = 0; index < ids.size(); ++index) read(ids[index], describe(*sets[index]));
  return into;
}

/// One read, which a commit may interrupt.
std::optional<Loaded> NftTable::read_once() {
  const auto found = find_table();
  if (!found) return std::nullopt;
  if (!is_ours(found->comment))
    throw ForeignTable(
        fmt::format("table inet {} exists and was not made by hanat; rename or delete it (nft delete table inet {}), or name "
                    "another one with --table",
                    table_, table_));
  if (found->owner != 0 && found->owner != socket_.port_id())
    throw TableInUse(
        fmt::format("table inet {} belongs to another running hanatd (netlink port {}); stop that one, or name another table with --table",
                    table_, found->owner));
  LayoutText layout = read_layout();
  shared_.notrack = layout.chains.erase(chain_untracked) != 0;
  layout.rules.erase(chain_untracked);
  RuleOptions rules = shared_.rules_for_now();
  rules.range_numbers = range_numbers_in(layout.sets);
  const LayoutText intended = intended_layout(table_, rules);
  Decoded decoded = read_elements(layout, intended);
  const bool all_numbered = count_entries(decoded.state, decoded.numbers);
  const bool settling = is_settling(decoded.gates);
  const bool same_shared = !shared_.known || (decoded.endpoints == shared_.endpoints && settling == shared_.settling);
  const bool in_order = found->comment == table_comment() && (found->flags & NFT_TABLE_F_DORMANT) == 0 && layout == intended &&
                        same_shared && is_whole(decoded, all_numbered);
  if (!shared_.known) {
    shared_.endpoints = decoded.endpoints;
    shared_.settling = settling;
    shared_.numbers = decoded.numbers;
    shared_.rules = rules;
  }
  return Loaded{.state = std::move(decoded.state), .endpoints = std::move(decoded.endpoints), .settling = settling, .in_order = in_order};
}

std::optional<Loaded> NftTable::read() {
  // The kernel does not flag dumps of set elements that mix two generations, so the generation before and after must be the same.
  for (int retries = 0;; ++retries) try {
      const std::uint32_t before = generation();
      const std::optional<Loaded> loaded = read_once();
      if (generation() == before) return loaded;
      if (retries >= max_retries) throw_netlink(EAGAIN, "read the table: nf_tables changes all the time");
    } catch (const std::system_error& error) {
      const bool temporary = error.code() == std::errc::interrupted || error.code() == std::errc::no_such_file_or_directory;
      if (!temporary || retries >= max_retries) throw;
    }
}

} // namespace hanat::nat
