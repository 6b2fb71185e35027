// Consistent reads of the table, and whether it is in order. Not here: one dump (table_reader), changing it (table).
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
#include "nat/nftables/table.hpp"
#include "nat/nftables/table_reader.hpp"

namespace hanat::nat {
namespace {

constexpr int max_retries = 20; // a read is interrupted only by a commit during it

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

/// One read, which a commit may interrupt.
std::optional<Loaded> NftTable::read_once() {
  TableReader reader = this->reader();
  const auto found = reader.find_table();
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
  LayoutText layout = reader.read_layout();
  shared_.notrack = layout.chains.erase(chain_untracked) != 0;
  layout.rules.erase(chain_untracked);
  RuleOptions rules = shared_.rules_for_now();
  rules.range_numbers = range_numbers_in(layout);
  const LayoutText intended = to_text(make_layout(table_, rules));
  Decoded decoded = reader.read_elements(layout, intended);
  const bool all_numbered = count_entries(decoded.state, decoded.numbers);
  const bool has_flowtable = !layout.flowtables.empty() || layout.chains.contains(chain_offloading);
  const bool settling = is_settling(decoded.gates);
  const bool same_shared = !shared_.known || (decoded.endpoints == shared_.endpoints && settling == shared_.settling);
  const bool in_order = found->comment == table_comment() && (found->flags & NFT_TABLE_F_DORMANT) == 0 &&
                        layout == (has_flowtable ? with_offloading(intended, table_) : intended) && same_shared &&
                        is_whole(decoded, all_numbered);
  if (!shared_.known) {
    shared_.endpoints = decoded.endpoints;
    shared_.settling = settling;
    shared_.numbers = decoded.numbers;
    shared_.rules = rules;
  }
  shared_.flowtable = has_flowtable;
  return Loaded{.state = std::move(decoded.state), .endpoints = std::move(decoded.endpoints), .settling = settling, .in_order = in_order};
}

std::optional<Loaded> NftTable::read() {
  // The kernel does not flag dumps of set elements that mix two generations, so the generation before and after must be the same.
  for (int retries = 0;; ++retries) try {
      const std::uint32_t before = reader().generation();
      const std::optional<Loaded> loaded = read_once();
      if (reader().generation() == before) return loaded;
      if (retries >= max_retries) throw_netlink(EAGAIN, "read the table: nf_tables changes all the time");
    } catch (const std::system_error& error) {
      const bool temporary = error.code() == std::errc::interrupted || error.code() == std::errc::no_such_file_or_directory;
      if (!temporary || retries >= max_retries) throw;
    }
}

} // namespace hanat::nat
