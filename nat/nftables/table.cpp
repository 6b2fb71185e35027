// Consistent dumps of nf_tables, and commits whose every reply is read.
#include "nat/nftables/table.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <ranges>
#include <system_error>
#include <utility>

#include <arpa/inet.h>
#include <fmt/format.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "nat/nftables/comment.hpp"
#include "nat/nftables/layout.hpp"
#include "nat/nftables/request.hpp"
#include "nat/nftables/rule_writer.hpp"

#ifndef NFT_TABLE_F_PERSIST // Linux 6.9; the headers of Debian 12 are older
#define NFT_TABLE_F_PERSIST 0x4
#endif

namespace hanat::nat {
namespace {

// Bytes, about 200 flips: from here on leaving the multicast group costs less than reading the notifications.
constexpr std::size_t large_transaction = std::size_t{64} << 10;
constexpr int max_retries = 20; // a read is interrupted only by a commit during it

/// Of this network namespace. Without conntrack there is nothing to read, and no packet that would make a difference.
bool is_tcp_loose() {
  int value = 1;
  std::ifstream{"/proc/sys/net/netfilter/nf_conntrack_tcp_loose"} >> value;
  return value != 0;
}

RuleOptions rules_for(const ProbePorts& ports) { return {.tcp_loose = is_tcp_loose(), .probe_ports = ports}; }

/// Whether hanat would write these elements, and no others beside them.
bool is_whole(const Decoded& decoded) {
  const Gates gates = gates_of(decoded.state, is_settling(decoded.gates));
  return decoded.foreign == 0 && std::ranges::equal(gates | std::views::keys, decoded.gates | std::views::keys);
}

} // namespace

/// The layout as text: sets and chains by name, rules in order.
struct NftTable::LayoutText {
  std::map<std::string, std::string> sets, chains, rules;
  bool operator==(const LayoutText&) const = default;
};

struct NftTable::Found {
  std::string comment;
  std::uint32_t flags = 0;
  std::uint32_t owner = 0; // netlink port of the owning process; 0: none
};

NftTable::NftTable(std::string table, Ownership ownership)
    : table_(std::move(table)), ownership_(ownership), socket_(std::size_t{16} << 20), watch_(table_, socket_.port_id()) {
  watch_.begin(generation());
}

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

std::optional<NftTable::Found> NftTable::find_table() {
  std::optional<Found> found;
  dump(
      NFT_MSG_GETTABLE, {},
      [&](const nlmsghdr& reply) {
        const auto table = made(TablePtr{nftnl_table_alloc()});
        if (nftnl_table_nlmsg_parse(&reply, table.get()) != 0) return;
        if (nftnl_table_get_u32(table.get(), NFTNL_TABLE_FAMILY) != NFPROTO_INET) return;
        if (table_ != nftnl_table_get_str(table.get(), NFTNL_TABLE_NAME)) return;
        std::uint32_t length = 0;
        const void* data = nftnl_table_get_data(table.get(), NFTNL_TABLE_USERDATA, &length);
        found = Found{.comment = comment_in(data, length),
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

/// Reads the sets that have the intended form. In a table of another layout version these may be only some.
Decoded NftTable::read_elements(const LayoutText& found, const LayoutText& intended) {
  // The text of a set without its name.
  const auto shape = [](const std::string& text) { return std::string_view{text}.substr(text.find(" flags ")); };
  Decoded into;
  for (const SetId id : set_ids()) {
    auto as_found = found.sets.find(name_of(id));
    if (as_found == found.sets.end()) as_found = found.sets.find(name_in_layout_3(id));
    if (as_found == found.sets.end() || shape(as_found->second) != shape(intended.sets.at(name_of(id)))) continue;
    dump(
        NFT_MSG_GETSETELEM,
        [&](nlmsghdr* header) {
          mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_TABLE, table_.c_str());
          mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_SET, as_found->first.c_str());
        },
        [&](const nlmsghdr& reply) {
          const auto set = made(SetPtr{nftnl_set_alloc()});
          if (nftnl_set_elems_nlmsg_parse(&reply, set.get()) == 0) decode(id, *set, into);
        },
        "list the elements of hanat's table");
  }
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
  const LayoutText intended = intended_layout(table_, rules_for(shared_.probe_ports));
  Decoded decoded = read_elements(layout, intended);
  const bool settling = is_settling(decoded.gates);
  const bool same_shared = !shared_.known || (decoded.endpoints == shared_.endpoints && settling == shared_.settling);
  const bool in_order = found->comment == table_comment() && (found->flags & NFT_TABLE_F_DORMANT) == 0 && layout == intended &&
                        same_shared && is_whole(decoded);
  if (!shared_.known) {
    shared_.endpoints = decoded.endpoints;
    shared_.settling = settling;
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

void NftTable::send(const Transaction& transaction, const char* what) {
  const auto exchange = [&] { socket_.exchange(transaction.bytes, transaction.first_sequence, transaction.last_sequence, what); };
  if (transaction.bytes.size() < large_transaction) {
    exchange();
    return;
  }
  const std::uint32_t before = generation();
  {
    const CommitWatch::Muted muted{watch_};
    exchange();
  }
  try {
    if (generation() == before + 1) watch_.skip(before + 1);
  } catch (const std::system_error&) { // NOLINT(bugprone-empty-catch): the change is made; the watch reports a gap
  }
}

/// A lost reply is no refusal: `is_applied` finds out whether the change was made.
void NftTable::commit(TransactionBuilder& builder, const char* what, const Verify& is_applied) {
  const Transaction transaction = builder.finish();
  socket_.skip_sequences_to(transaction.last_sequence + 1); // the builder has used these numbers, one of them for the end of the batch
  if (transaction.empty()) return;
  try {
    send(transaction, what);
  } catch (const std::system_error& error) {
    const bool reply_lost = error.code() == std::errc::no_buffer_space || error.code() == std::errc::timed_out;
    if (!reply_lost || !is_applied()) throw;
  }
}

void NftTable::adopt(const TableState& loaded) {
  shared_.gates = gates_of(loaded, shared_.settling);
  shared_.rules = rules_for(shared_.probe_ports);
  shared_.known = true;
  if (ownership_ == Ownership::shared) return;
  TransactionBuilder builder{table_, socket_.next_sequence()};
  try {
    commit(builder.add_table(NFT_TABLE_F_OWNER | NFT_TABLE_F_PERSIST), "take over the table", [this] {
      const auto found = find_table();
      return found && found->owner == socket_.port_id();
    });
    owns_ = true;
  } catch (const std::system_error& error) {
    if (error.code() != std::errc::operation_not_supported)
      throw; // an older kernel, or a table that was created without an owner: it is watched instead
  }
}

void NftTable::load(const TableState& state) {
  const bool exists = find_table().has_value();
  const Gates gates = gates_of(state, shared_.settling);
  shared_.rules = rules_for(shared_.probe_ports);
  const auto attempt = [&](std::uint32_t flags) {
    TransactionBuilder builder{table_, socket_.next_sequence()};
    if (exists) builder.delete_table();
    builder.add_table(flags).add_layout(shared_.rules).change({}, state, {}, gates);
    for (const auto& [kind, endpoints] : shared_.endpoints) builder.change_endpoints(kind, {}, endpoints);
    commit(builder, "load the table", [&] {
      const auto found = read();
      return found && found->in_order && found->state == state;
    });
  };
  if (ownership_ == Ownership::shared) {
    attempt(0);
  } else {
    try {
      attempt(NFT_TABLE_F_OWNER | NFT_TABLE_F_PERSIST);
      owns_ = true;
    } catch (const std::system_error& error) {
      if (error.code() != std::errc::operation_not_supported) throw;
      ownership_ = Ownership::shared; // before Linux 6.9; with an owner and without persist, a crash of hanatd would delete the table
      attempt(0);
    }
  }
  shared_.gates = gates;
  shared_.known = true;
  shared_.notrack = false;
}

/// Whether the loaded entries are those after the change. A transaction is applied whole or not at all, so one read is enough.
bool NftTable::is_applied(std::span<const Step> steps, bool settling) {
  const auto found = read();
  if (!found || !found->in_order || found->settling != settling) return false;
  bool applied = true;
  const auto compare = [&applied](const auto& loaded, const auto& before, const auto& after) {
    const auto is_loaded = [&](const auto& entry) {
      const auto same_key = loaded.find(entry.first);
      return same_key != loaded.end() && same_key->second == entry.second;
    };
    const auto is_left = [&](const auto& entry) { return !after.contains(entry.first) && loaded.contains(entry.first); };
    applied = applied && std::ranges::all_of(after, is_loaded) && std::ranges::none_of(before, is_left);
  };
  for (const auto& [from, to] : steps) for_each_set(compare, found->state, from, to);
  return applied;
}

void NftTable::change(const TableState& from, const TableState& to) {
  const Step step{.from = from, .to = to};
  change({&step, 1});
}

void NftTable::change(std::span<const Step> steps, std::optional<bool> settling) {
  Gates before, after;
  if (settling && *settling != shared_.settling) (*settling ? after : before) = settling_gates();
  for (const auto& [from, to] : steps) {
    for (const auto& [gate, count] : gates_of(from)) before[gate] += count;
    for (const auto& [gate, count] : gates_of(to)) after[gate] += count;
  }
  // Only gates of these services can change, but other services may share them.
  Gates gates_before, gates_after;
  Gates next;
  for (const auto* part : {&before, &after})
    for (const auto& [gate, count] : *part) {
      if (next.contains(gate)) continue;
      const auto loaded = shared_.gates.find(gate);
      const unsigned total = loaded == shared_.gates.end() ? 0 : loaded->second;
      const unsigned old_share = before.contains(gate) ? before.at(gate) : 0;
      const unsigned new_share = after.contains(gate) ? after.at(gate) : 0;
      next[gate] = total - old_share + new_share;
      if (total != 0) gates_before[gate] = total;
      if (next[gate] != 0) gates_after[gate] = next[gate];
    }
  TransactionBuilder builder{table_, socket_.next_sequence()};
  const bool settles = settling.value_or(shared_.settling);
  const bool settled_before = std::exchange(shared_.settling, settles); // by which a read compares
  try {
    commit(builder.change(steps, gates_before, gates_after), "change the table", [&] { return is_applied(steps, settles); });
  } catch (const std::system_error&) {
    shared_.settling = settled_before;
    throw;
  }
  for (const auto& [gate, count] : next) {
    if (count == 0)
      shared_.gates.erase(gate);
    else
      shared_.gates[gate] = count;
  }
}

void NftTable::set_endpoints(SetKind kind, const EndpointMap& intended) {
  const auto before = shared_.endpoints.find(kind);
  const EndpointMap loaded = before == shared_.endpoints.end() ? EndpointMap{} : before->second;
  TransactionBuilder builder{table_, socket_.next_sequence()};
  commit(builder.change_endpoints(kind, loaded, intended), "change the servers in the table", [&] {
    const auto found = read();
    const auto endpoints = found ? found->endpoints : std::map<SetKind, EndpointMap>{};
    const auto same_kind = endpoints.find(kind);
    return same_kind == endpoints.end() ? intended.empty() : same_kind->second == intended;
  });
  shared_.endpoints.erase(kind);
  if (!intended.empty()) shared_.endpoints.emplace(kind, intended); // as it is read
}

bool NftTable::missed_a_commit() { return watch_.missed(generation()) || shared_.rules != rules_for(shared_.probe_ports); }

void NftTable::heartbeat() {
  TransactionBuilder builder{table_, socket_.next_sequence()};
  commit(builder.heartbeat(), "renew the heartbeat", [] { return true; }); // after a lost reply the next heartbeat comes soon enough
}

void NftTable::set_notrack(bool on) {
  TransactionBuilder builder{table_, socket_.next_sequence()};
  commit(on ? builder.add_untracked_replies(shared_.rules.probe_ports) : builder.delete_untracked_replies(), "let probes bypass conntrack",
         [] { return true; });
  shared_.notrack = on;
}

void NftTable::remove() {
  if (!find_table()) return;
  TransactionBuilder builder{table_, socket_.next_sequence()};
  commit(builder.delete_table(), "remove the table", [this] { return !find_table(); });
  shared_.gates.clear();
  shared_.endpoints.clear();
  shared_.settling = false;
}

} // namespace hanat::nat
