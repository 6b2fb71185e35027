// Consistent reads, and commits whose every reply is read.
#include "nat/nftables/table.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <ranges>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "nat/nftables/difference.hpp"
#include "nat/nftables/layout.hpp"
#include "nat/nftables/table_reader.hpp"

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

/// The switch of that name is `by` more than before: 1 where it is turned on, -1 where it is turned off.
void count_settling(Difference& changes, int by) {
  if (by == 0) return;
  for (const auto& [gate, one] : settling_gates()) changes.gates[gate] += by;
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

NftTable::NftTable(std::string table, Ownership ownership)
    : table_(std::move(table)), ownership_(ownership), socket_(std::size_t{16} << 20), watch_(table_, socket_.port_id()) {
  watch_.begin(reader().generation());
}

RuleOptions LoadedParts::rules_for_now() const {
  return {.tcp_loose = is_tcp_loose(), .probe_ports = probe_ports, .range_numbers = rules.range_numbers};
}

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

void NftTable::send(const Transaction& transaction, const char* what) {
  const auto exchange = [&] { socket_.exchange(transaction.bytes, transaction.first_sequence, transaction.last_sequence, what); };
  if (owns_ || transaction.bytes.size() < large_transaction) {
    exchange();
    return;
  }
  const std::uint32_t before = reader().generation();
  {
    const CommitWatch::Muted muted{watch_};
    exchange();
  }
  try {
    if (reader().generation() == before + 1) watch_.skip(before + 1);
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
  shared_.rules = shared_.rules_for_now();
  shared_.known = true;
  if (ownership_ == Ownership::shared) return;
  TransactionBuilder builder{table_, socket_.next_sequence()};
  try {
    commit(builder.add_table(NFT_TABLE_F_OWNER | NFT_TABLE_F_PERSIST), "take over the table", [this] {
      const auto found = reader().find_table();
      return found && found->owner == socket_.port_id();
    });
    owns_ = true, watch_.stop(); // nobody else can change the table from here on
  } catch (const std::system_error& error) {
    if (error.code() != std::errc::operation_not_supported)
      throw; // an older kernel, or a table that was created without an owner: it is watched instead
  }
}

void NftTable::load(const TableState& state) {
  const bool exists = reader().find_table().has_value();
  Difference all = difference({}, state);
  count_settling(all, shared_.settling ? 1 : 0);
  add_shared(all, {}, {});
  RuleOptions rules = shared_.rules_for_now();
  rules.range_numbers = all.coming.highest();
  const auto attempt = [&](std::uint32_t flags) {
    TransactionBuilder builder{table_, socket_.next_sequence()};
    if (exists) builder.delete_table();
    builder.add_table(flags).add_layout(rules).change(all);
    for (const auto& [kind, endpoints] : shared_.endpoints) builder.change(difference(kind, {}, endpoints));
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
      owns_ = true, watch_.stop(); // nobody else can change the table from here on
    } catch (const std::system_error& error) {
      if (error.code() != std::errc::operation_not_supported) throw;
      ownership_ = Ownership::shared; // before Linux 6.9; with an owner and without persist, a crash of hanatd would delete the table
      attempt(0);
    }
  }
  shared_.rules = rules;
  shared_.gates.clear();
  shared_.numbers = {};
  apply_shared(all, shared_.gates, shared_.numbers);
  shared_.known = true;
  shared_.notrack = shared_.flowtable = false;
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
  Difference changes = difference(steps, shared_.numbers);
  if (settling) count_settling(changes, (*settling ? 1 : 0) - (shared_.settling ? 1 : 0));
  add_shared(changes, shared_.gates, shared_.numbers); // of other services, too
  TransactionBuilder builder{table_, socket_.next_sequence()};
  const std::uint8_t numbers = std::max(shared_.rules.range_numbers, changes.coming.highest());
  for (std::uint8_t number = shared_.rules.range_numbers; number < numbers; ++number)
    builder.add_objects(make_range_layout(table_, static_cast<std::uint8_t>(number + 1)));
  const bool settles = settling.value_or(shared_.settling);
  const bool settled_before = std::exchange(shared_.settling, settles); // by which a read compares
  try {
    commit(builder.change(changes), "change the table", [&] { return is_applied(steps, settles); });
  } catch (const std::system_error&) {
    shared_.settling = settled_before;
    throw;
  }
  apply_shared(changes, shared_.gates, shared_.numbers);
  shared_.rules.range_numbers = numbers;
}

void NftTable::set_endpoints(SetKind kind, const EndpointMap& intended) {
  const auto before = shared_.endpoints.find(kind);
  const EndpointMap loaded = before == shared_.endpoints.end() ? EndpointMap{} : before->second;
  TransactionBuilder builder{table_, socket_.next_sequence()};
  commit(builder.change(difference(kind, loaded, intended)), "change the servers in the table", [&] {
    const auto found = read();
    const auto endpoints = found ? found->endpoints : std::map<SetKind, EndpointMap>{};
    const auto same_kind = endpoints.find(kind);
    return same_kind == endpoints.end() ? intended.empty() : same_kind->second == intended;
  });
  shared_.endpoints.erase(kind);
  if (!intended.empty()) shared_.endpoints.emplace(kind, intended); // as it is read
}

bool NftTable::missed_a_commit() {
  const bool missed = !owns_ && watch_.missed(reader().generation());
  return missed || shared_.rules != shared_.rules_for_now();
}

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

void NftTable::set_flowtable(const std::optional<Devices>& devices) {
  const auto commit_once = [this](const auto& add, const char* what) {
    TransactionBuilder builder{table_, socket_.next_sequence()};
    add(builder);
    commit(builder, what, [] { return false; });
  };
  if (!devices) {
    if (shared_.flowtable) commit_once([](TransactionBuilder& builder) { builder.delete_offloading(); }, "remove the flowtable");
    shared_.flowtable = false;
    return;
  }
  if (!shared_.flowtable) try { // without devices, which may go at any moment: what is refused is flowtables
      commit_once([](TransactionBuilder& builder) { builder.add_offloading(); }, "make the flowtable");
      shared_.flowtable = true;
    } catch (const std::system_error& error) {
      const bool unknown = error.code() == std::errc::no_such_file_or_directory || error.code() == std::errc::operation_not_supported;
      if (unknown && reader().find_table()) throw NoFlowtables(error.what());
      throw;
    }
  // One that has gone is no longer among them (before Linux 6.16), and no commit told so.
  const Devices loaded = reader().read_devices();
  Devices gone, come;
  std::ranges::set_difference(loaded, *devices, std::inserter(gone, gone.end()));
  std::ranges::set_difference(*devices, loaded, std::inserter(come, come.end()));
  // Apart: a batch that does both has not been tried on every kernel.
  const char* what = "change the interfaces of the flowtable";
  if (!gone.empty()) commit_once([&](TransactionBuilder& builder) { builder.change_devices(gone, {}); }, what);
  if (!come.empty()) commit_once([&](TransactionBuilder& builder) { builder.change_devices({}, come); }, what);
}

void NftTable::remove() {
  if (!reader().find_table()) return;
  TransactionBuilder builder{table_, socket_.next_sequence()};
  commit(builder.delete_table(), "remove the table", [this] { return !reader().find_table(); });
  shared_.gates.clear();
  shared_.numbers = {};
  shared_.endpoints.clear();
  shared_.settling = shared_.flowtable = false;
}

} // namespace hanat::nat
