// The face of nf_tables: dumps that are whole, and commits whose every answer is read.
#include "nat/kernel.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <ranges>
#include <system_error>
#include <utility>

#include <arpa/inet.h>
#include <fmt/format.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "nat/comment.hpp"
#include "nat/layout.hpp"
#include "nat/rule_writer.hpp"

#ifndef NFT_TABLE_F_PERSIST // Linux 6.9; the headers of Debian 12 are older
#define NFT_TABLE_F_PERSIST 0x4
#endif

namespace hanat::nat {
namespace {

constexpr std::size_t large_transaction = std::size_t{64}
                                          << 10; // bytes; about 200 flips: leaving the group costs less than hearing of them
constexpr int read_attempts = 20;                // each is lost only when somebody commits during it

std::uint16_t nft(int type) { return static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type); }

} // namespace

/// The layout as text: sets and chains by name, rules in order.
struct Kernel::LayoutText {
  std::map<std::string, std::string> sets, chains, rules;
  bool operator==(const LayoutText&) const = default;
};

struct Kernel::Found {
  std::string comment;
  std::uint32_t flags = 0;
  std::uint32_t owner = 0; // netlink port of the process that owns it; 0: nobody
};

Kernel::Kernel(std::string table, Ownership ownership)
    : table_(std::move(table)), ownership_(ownership), socket_(std::size_t{16} << 20), watch_(table_, socket_.port_id()) {
  watch_.begin(generation());
}

Kernel::LayoutText Kernel::wanted_layout(const std::string& table) {
  const Layout layout = make_layout(table);
  LayoutText text;
  for (const auto& set : layout.sets) text.sets[nftnl_set_get_str(set.get(), NFTNL_SET_NAME)] = describe(*set);
  for (const auto& chain : layout.chains) text.chains[nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_NAME)] = describe(*chain);
  for (const auto& rule : layout.rules) text.rules[nftnl_rule_get_str(rule.get(), NFTNL_RULE_CHAIN)] += describe(*rule);
  return text;
}

void Kernel::dump(std::uint16_t type, const std::function<void(nlmsghdr*)>& fill, const Netlink::OnMessage& on_message, const char* what) {
  std::array<std::uint8_t, 4096> request{};
  nlmsghdr* header = mnl_nlmsg_put_header(request.data());
  header->nlmsg_type = nft(type);
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  header->nlmsg_seq = socket_.next_sequence();
  auto* extra = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
  extra->nfgen_family = NFPROTO_INET;
  extra->version = NFNETLINK_V0;
  if (fill) fill(header);
  socket_.exchange({request.data(), header->nlmsg_len}, header->nlmsg_seq, header->nlmsg_seq, what, on_message);
}

std::uint32_t Kernel::generation() {
  std::array<std::uint8_t, 256> request{};
  nlmsghdr* header = mnl_nlmsg_put_header(request.data());
  header->nlmsg_type = nft(NFT_MSG_GETGEN);
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  header->nlmsg_seq = socket_.next_sequence();
  mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg));
  std::uint32_t result = 0;
  socket_.exchange({request.data(), header->nlmsg_len}, header->nlmsg_seq, header->nlmsg_seq, "read the generation of nf_tables",
                   [&](const nlmsghdr& answer) { result = generation_in(answer); });
  return result;
}

std::optional<Kernel::Found> Kernel::find_table() {
  std::optional<Found> found;
  dump(
      NFT_MSG_GETTABLE, {},
      [&](const nlmsghdr& answer) {
        const auto table = made(TablePtr{nftnl_table_alloc()});
        if (nftnl_table_nlmsg_parse(&answer, table.get()) != 0) return;
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

Kernel::LayoutText Kernel::read_layout() {
  LayoutText text;
  const auto ours = [this](const char* table) { return table != nullptr && table_ == table; };
  const auto name_table = [this](nlmsghdr* header) { mnl_attr_put_strz(header, NFTA_SET_TABLE, table_.c_str()); };
  dump(
      NFT_MSG_GETSET, name_table,
      [&](const nlmsghdr& answer) {
        const auto set = made(SetPtr{nftnl_set_alloc()});
        if (nftnl_set_nlmsg_parse(&answer, set.get()) != 0 || !ours(nftnl_set_get_str(set.get(), NFTNL_SET_TABLE))) return;
        text.sets[nftnl_set_get_str(set.get(), NFTNL_SET_NAME)] = describe(*set);
      },
      "list the sets of hanat's table");
  dump(
      NFT_MSG_GETCHAIN, {},
      [&](const nlmsghdr& answer) {
        const auto chain = made(ChainPtr{nftnl_chain_alloc()});
        if (nftnl_chain_nlmsg_parse(&answer, chain.get()) != 0 || !ours(nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_TABLE))) return;
        text.chains[nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_NAME)] = describe(*chain);
      },
      "list the chains of hanat's table");
  dump(
      NFT_MSG_GETRULE, [this](nlmsghdr* header) { mnl_attr_put_strz(header, NFTA_RULE_TABLE, table_.c_str()); },
      [&](const nlmsghdr& answer) {
        const auto rule = made(RulePtr{nftnl_rule_alloc()});
        if (nftnl_rule_nlmsg_parse(&answer, rule.get()) != 0 || !ours(nftnl_rule_get_str(rule.get(), NFTNL_RULE_TABLE))) return;
        text.rules[nftnl_rule_get_str(rule.get(), NFTNL_RULE_CHAIN)] += describe(*rule);
      },
      "list the rules of hanat's table");
  return text;
}

/// Of sets that are as we make them; of another layout's, as many as can be understood.
Decoded Kernel::read_elements(const LayoutText& found, const LayoutText& wanted) {
  Decoded into;
  for (const SetId id : set_ids()) {
    const auto as_found = found.sets.find(name_of(id));
    if (as_found == found.sets.end() || as_found->second != wanted.sets.at(name_of(id))) continue;
    dump(
        NFT_MSG_GETSETELEM,
        [&](nlmsghdr* header) {
          mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_TABLE, table_.c_str());
          mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_SET, name_of(id).c_str());
        },
        [&](const nlmsghdr& answer) {
          const auto set = made(SetPtr{nftnl_set_alloc()});
          if (nftnl_set_elems_nlmsg_parse(&answer, set.get()) == 0) decode(id, *set, into);
        },
        "list the elements of hanat's table");
  }
  return into;
}

std::optional<Loaded> Kernel::read() {
  // Dumps of set elements that mix two generations are not flagged by the kernel: the generation before and after must be the same.
  for (int attempt = 0;; ++attempt) try {
      const std::uint32_t before = generation();
      const auto found = find_table();
      if (found && !is_ours(found->comment))
        throw ForeignTable(
            fmt::format("table inet {} exists and was not made by hanat; rename or delete it (nft delete table inet {}), or name "
                        "another one with --table",
                        table_, table_));
      if (found && found->owner != 0 && found->owner != socket_.port_id())
        throw TableInUse(
            fmt::format("table inet {} belongs to another hanatd that runs (netlink port {}); stop that one, or name another table "
                        "with --table",
                        table_, found->owner));
      std::optional<Loaded> result;
      if (found) {
        LayoutText layout = read_layout();
        passes_by_ = layout.chains.erase(chain_untracked) != 0;
        layout.rules.erase(chain_untracked);
        const LayoutText wanted = wanted_layout(table_);
        Decoded decoded = read_elements(layout, wanted);
        const Armed armed = armed_by(decoded.rules);
        const bool in_order = found->comment == table_comment() && (found->flags & NFT_TABLE_F_DORMANT) == 0 && layout == wanted &&
                              decoded.foreign == 0 && std::ranges::equal(armed | std::views::keys, decoded.armed | std::views::keys);
        result = Loaded{.rules = std::move(decoded.rules), .in_order = in_order};
      }
      if (generation() == before) return result;
      if (attempt >= read_attempts) throw_netlink(EAGAIN, "read the table: nf_tables changes all the time");
    } catch (const std::system_error& error) {
      const bool passing = error.code() == std::errc::interrupted || error.code() == std::errc::no_such_file_or_directory;
      if (!passing || attempt >= read_attempts) throw;
    }
}

void Kernel::send(const Transaction& transaction, const char* what) {
  const auto exchange = [&] { socket_.exchange(transaction.bytes, transaction.first_sequence, transaction.last_sequence, what); };
  if (transaction.bytes.size() < large_transaction) {
    exchange();
    return;
  }
  const std::uint32_t before = generation();
  {
    const CommitWatch::Deaf deaf{watch_};
    exchange();
  }
  try {
    if (generation() == before + 1) watch_.skip(before + 1);
  } catch (const std::system_error&) { // NOLINT(bugprone-empty-catch): the change was made; a gap shows, and the table is read
  }
}

/// An answer that was lost is no refusal: `stands` looks whether the change was made all the same.
void Kernel::commit(TransactionBuilder& builder, const char* what, const Stands& stands) {
  const Transaction transaction = builder.finish();
  socket_.skip_sequences_to(transaction.last_sequence + 1); // the builder took its numbers from here, one for the end of the batch
  if (transaction.empty()) return;
  try {
    send(transaction, what);
  } catch (const std::system_error& error) {
    const bool answer_lost = error.code() == std::errc::no_buffer_space || error.code() == std::errc::timed_out;
    if (!answer_lost || !stands()) throw;
  }
}

void Kernel::adopt(const Rules& loaded) {
  armed_ = armed_by(loaded);
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
      throw; // an older kernel, or a table that was made without an owner: watched instead
  }
}

void Kernel::load(const Rules& rules) {
  const bool there = find_table().has_value();
  const Armed armed = armed_by(rules);
  const auto attempt = [&](std::uint32_t flags) {
    TransactionBuilder builder{table_, socket_.next_sequence()};
    if (there) builder.delete_table();
    commit(builder.add_table(flags).add_layout().change({}, rules, {}, armed), "load the table", [&] {
      const auto found = read();
      return found && found->in_order && found->rules == rules;
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
      ownership_ = Ownership::shared; // before Linux 6.9; owner alone would take the table away with a crash of hanatd
      attempt(0);
    }
  }
  armed_ = armed;
  passes_by_ = false;
}

/// Do the entries stand as one change was to leave them? A transaction is made whole or not at all, so one look is enough.
bool Kernel::carried_out(std::span<const Step> steps) {
  const auto found = read();
  if (!found || !found->in_order) return false;
  const auto as_wanted = [](const auto& loaded, const auto& before, const auto& after) {
    const auto stands = [&](const auto& entry) {
      const auto there = loaded.find(entry.first);
      return there != loaded.end() && there->second == entry.second;
    };
    return std::ranges::all_of(after, stands) &&
           std::ranges::none_of(before, [&](const auto& entry) { return !after.contains(entry.first) && loaded.contains(entry.first); });
  };
  const Rules& now = found->rules;
  return std::ranges::all_of(steps, [&](const Step& step) {
    const auto& [from, to] = step;
    return as_wanted(now.known, from.known, to.known) && as_wanted(now.target, from.target, to.target) &&
           as_wanted(now.refused, from.refused, to.refused) && as_wanted(now.stale, from.stale, to.stale) &&
           as_wanted(now.moved, from.moved, to.moved) && as_wanted(now.hold, from.hold, to.hold) &&
           as_wanted(now.source, from.source, to.source);
  });
}

void Kernel::change(const Rules& from, const Rules& to) {
  const Step one{.from = from, .to = to};
  change({&one, 1});
}

void Kernel::change(std::span<const Step> steps) {
  Armed before, after;
  for (const auto& [from, to] : steps) {
    for (const auto& [address, count] : armed_by(from)) before[address] += count;
    for (const auto& [address, count] : armed_by(to)) after[address] += count;
  }
  // Only addresses of these services can change; others may share them.
  Armed was, will;
  Armed next;
  for (const auto* part : {&before, &after})
    for (const auto& [address, count] : *part) {
      if (next.contains(address)) continue;
      const auto loaded = armed_.find(address);
      const unsigned total = loaded == armed_.end() ? 0 : loaded->second;
      const unsigned old_share = before.contains(address) ? before.at(address) : 0;
      const unsigned new_share = after.contains(address) ? after.at(address) : 0;
      next[address] = total - old_share + new_share;
      if (total != 0) was[address] = total;
      if (next[address] != 0) will[address] = next[address];
    }
  TransactionBuilder builder{table_, socket_.next_sequence()};
  commit(builder.change(steps, was, will), "change the table", [&] { return carried_out(steps); });
  for (const auto& [address, count] : next) {
    if (count == 0)
      armed_.erase(address);
    else
      armed_[address] = count;
  }
}

void Kernel::keep_alive() {
  TransactionBuilder builder{table_, socket_.next_sequence()};
  commit(builder.beat(), "say that hanatd lives", [] { return true; }); // the next beat comes soon enough
}

void Kernel::pass_by_conntrack(bool on) {
  TransactionBuilder builder{table_, socket_.next_sequence()};
  commit(on ? builder.add_untracked_answers() : builder.delete_untracked_answers(), "let probes pass by conntrack", [] { return true; });
  passes_by_ = on;
}

void Kernel::remove() {
  if (!find_table()) return;
  TransactionBuilder builder{table_, socket_.next_sequence()};
  commit(builder.delete_table(), "remove the table", [this] { return !find_table(); });
  armed_.clear();
}

} // namespace hanat::nat
