// Dumps of nf_tables, chain by chain.
#include "nat/nftables/foreign_rules.hpp"

#include <array>
#include <fstream>
#include <functional>
#include <sstream>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <libnftnl/flowtable.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "nat/nftables/handles.hpp"
#include "nat/nftables/request.hpp"
#include "nat/printable.hpp"

namespace hanat::nat {
namespace {

constexpr std::size_t dump_bytes = std::size_t{1} << 20;
constexpr int tries_at_most = 5; // a dump is interrupted by a commit during it

struct EnoughRead {};

std::optional<Hook> to_hook(TableFamily family, std::uint32_t number) {
  if (family == TableFamily::netdev) return number == NF_NETDEV_INGRESS ? Hook::ingress : Hook::egress;
  if (family == TableFamily::arp) return std::nullopt;
  switch (number) {
  case NF_INET_PRE_ROUTING: return Hook::prerouting;
  case NF_INET_LOCAL_IN: return Hook::input;
  case NF_INET_FORWARD: return Hook::forward;
  case NF_INET_LOCAL_OUT: return Hook::output;
  case NF_INET_POST_ROUTING: return Hook::postrouting;
  case NF_INET_INGRESS: return Hook::ingress;
  default: return std::nullopt;
  }
}

/// A rule with an expression that this libnftnl does not know: it has been read up to there, counts, and may do anything.
ForeignRule unknown_rule(const nftnl_rule& rule) {
  return {.handle = nftnl_rule_get_u64(&rule, NFTNL_RULE_HANDLE),
          .position = 0,
          .action = RuleAction::other,
          .target = {},
          .comment = {},
          .matches = {Condition{}}};
}

/// Reads with a socket of its own, and with a new one after a dump that was given up.
class ForeignReader {
public:
  void read_base_chains(ForeignRuleset& into);
  void read_flowtables(ForeignRuleset& into);
  /// Reads at most this many rules.
  void read_rules(ForeignRuleset& into, const ChainName& name, std::size_t at_most);

private:
  void dump(std::uint16_t type, TableFamily family, const std::function<void(nlmsghdr*)>& fill, const Netlink::OnMessage& on_message,
            const char* what);
  /// Dumps again while commits interrupt it. `begin` forgets what an interrupted dump has said.
  void dump_whole(const std::function<void()>& begin, const std::function<void()>& once);

  Netlink socket_{dump_bytes};
};

void ForeignReader::dump(std::uint16_t type, TableFamily family, const std::function<void(nlmsghdr*)>& fill,
                         const Netlink::OnMessage& on_message, const char* what) {
  std::array<std::uint8_t, 4096> request{};
  nlmsghdr* header = put_nft_header(request, nft_type(type), NLM_F_DUMP, socket_.next_sequence());
  static_cast<nfgenmsg*>(mnl_nlmsg_get_payload(header))->nfgen_family = static_cast<std::uint8_t>(family);
  if (fill) fill(header);
  socket_.exchange({request.data(), header->nlmsg_len}, header->nlmsg_seq, header->nlmsg_seq, what, on_message);
}

void ForeignReader::dump_whole(const std::function<void()>& begin, const std::function<void()>& once) {
  for (int tries = 1;; ++tries) try {
      begin();
      return once();
    } catch (const std::system_error& error) {
      if (error.code() == std::errc::no_such_file_or_directory) return begin(); // the table or the chain is gone
      if (error.code() != std::errc::interrupted || tries >= tries_at_most) throw;
    }
}

constexpr auto any_family = static_cast<TableFamily>(NFPROTO_UNSPEC);

void ForeignReader::read_base_chains(ForeignRuleset& into) {
  const auto on_chain = [&](const nlmsghdr& reply) {
    const auto chain = made(ChainPtr{nftnl_chain_alloc()});
    if (nftnl_chain_nlmsg_parse(&reply, chain.get()) != 0 || !nftnl_chain_is_set(chain.get(), NFTNL_CHAIN_HOOKNUM)) return;
    const auto family = to_table_family(nftnl_chain_get_u32(chain.get(), NFTNL_CHAIN_FAMILY));
    const auto hook = family ? to_hook(*family, nftnl_chain_get_u32(chain.get(), NFTNL_CHAIN_HOOKNUM)) : std::nullopt;
    const char* type = nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_TYPE);
    if (!hook || type == nullptr) return;
    const ChainName name{*family, nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_TABLE), nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_NAME)};
    into.chains[name].base = BaseChain{.type = type,
                                       .hook = *hook,
                                       .priority = nftnl_chain_get_s32(chain.get(), NFTNL_CHAIN_PRIO),
                                       .drops = nftnl_chain_get_u32(chain.get(), NFTNL_CHAIN_POLICY) == NF_DROP};
  };
  dump_whole([&] { into.chains.clear(); }, [&] { dump(NFT_MSG_GETCHAIN, any_family, {}, on_chain, "list the chains of nf_tables"); });
}

void ForeignReader::read_flowtables(ForeignRuleset& into) {
  const auto on_flowtable = [&](const nlmsghdr& reply) {
    const auto object = made(FlowtablePtr{nftnl_flowtable_alloc()});
    if (nftnl_flowtable_nlmsg_parse(&reply, object.get()) != 0) return;
    const auto family = to_table_family(nftnl_flowtable_get_u32(object.get(), NFTNL_FLOWTABLE_FAMILY));
    const char* table = nftnl_flowtable_get_str(object.get(), NFTNL_FLOWTABLE_TABLE);
    const char* name = nftnl_flowtable_get_str(object.get(), NFTNL_FLOWTABLE_NAME);
    if (!family || table == nullptr || name == nullptr) return;
    Flowtable& flowtable = into.flowtables.emplace_back(Flowtable{.family = *family, .table = table, .name = name, .devices = {}});
    if (!nftnl_flowtable_is_set(object.get(), NFTNL_FLOWTABLE_DEVICES)) return;
    for (const char* const* device = nftnl_flowtable_get_array(object.get(), NFTNL_FLOWTABLE_DEVICES);
         device != nullptr && *device != nullptr; ++device)
      flowtable.devices.emplace_back(*device);
  };
  dump_whole([&] { into.flowtables.clear(); },
             [&] { dump(NFT_MSG_GETFLOWTABLE, any_family, {}, on_flowtable, "list the flowtables of nf_tables"); });
}

void ForeignReader::read_rules(ForeignRuleset& into, const ChainName& name, std::size_t at_most) {
  ForeignChain& chain = into.chains[name];
  chain.was_read = true;
  const auto fill = [&](nlmsghdr* header) {
    mnl_attr_put_strz(header, NFTA_RULE_TABLE, name.table.c_str());
    mnl_attr_put_strz(header, NFTA_RULE_CHAIN, name.chain.c_str());
  };
  const auto on_rule = [&](const nlmsghdr& reply) {
    const auto rule = made(RulePtr{nftnl_rule_alloc()});
    const bool is_known = nftnl_rule_nlmsg_parse(&reply, rule.get()) == 0;
    const char* of = nftnl_rule_get_str(rule.get(), NFTNL_RULE_CHAIN); // a kernel that does not filter by chain sends all of the table
    if (of == nullptr || name.chain != of) return;
    if (chain.rules.size() >= at_most) throw EnoughRead{};
    ForeignRule& added = chain.rules.emplace_back(is_known ? parse_rule(*rule) : unknown_rule(*rule));
    added.position = static_cast<std::uint32_t>(chain.rules.size());
  };
  try {
    dump_whole([&] { chain.rules.clear(); }, [&] { dump(NFT_MSG_GETRULE, name.family, fill, on_rule, "list the rules of a chain"); });
  } catch (const EnoughRead&) {
    chain.is_complete = false;
    socket_ = Netlink{dump_bytes}; // the other is in the middle of a dump
  }
}

/// Tables of iptables-legacy in this network namespace. One exists from the first command that asks for it on, even without rules. Their
/// names are for root alone; without them the modules tell, of all namespaces together.
std::vector<std::string> read_legacy_tables() {
  std::ifstream modules{"/proc/modules"};
  const std::map<std::string, bool> loaded = legacy_tables_in(modules);
  std::vector<std::string> tables;
  for (const char* family : {"ip", "ip6"}) {
    std::ifstream names{fmt::format("/proc/thread-self/net/{}_tables_names", family)};
    if (!names)
      for (const auto& [table, has_rules] : loaded)
        if (has_rules && table.starts_with(fmt::format("{} ", family))) tables.push_back(table);
    for (std::string name; std::getline(names, name);) {
      const std::string table = fmt::format("{} {}", family, printable(name));
      if (const auto known = loaded.find(table); known == loaded.end() || known->second) tables.push_back(table);
    }
  }
  return tables;
}

bool is_on_the_way(const std::optional<BaseChain>& base) { return base && base->hook != Hook::ingress && base->hook != Hook::egress; }

} // namespace

std::string to_text(const ChainName& name) {
  return fmt::format("{} {} {}", to_text(name.family), printable(name.table), printable(name.chain));
}

/// "iptable_filter 16384 1 - Live 0x0": a table's module is in use while the table has more than its policies.
std::map<std::string, bool> legacy_tables_in(std::istream& modules) {
  std::map<std::string, bool> tables;
  for (std::string line; std::getline(modules, line);) {
    std::istringstream words{line};
    std::string name, size;
    long users = 0;
    if (!(words >> name >> size >> users)) continue;
    for (const auto& [prefix, family] : {std::pair{"iptable_", "ip"}, std::pair{"ip6table_", "ip6"}})
      if (name.starts_with(prefix)) tables[fmt::format("{} {}", family, name.substr(std::string_view{prefix}.size()))] = users > 0;
  }
  return tables;
}

const ForeignRule* find_rule(const ForeignRuleset& ruleset, const ChainName& chain, std::uint64_t handle) {
  const auto found = ruleset.chains.find(chain);
  if (found == ruleset.chains.end()) return nullptr;
  for (const ForeignRule& rule : found->second.rules)
    if (rule.handle == handle) return &rule;
  return nullptr;
}

ForeignRuleset read_ruleset(const std::set<ChainName>& with_rules) {
  ForeignRuleset ruleset;
  ForeignReader reader;
  reader.read_base_chains(ruleset);
  for (const ChainName& name : with_rules) reader.read_rules(ruleset, name, rules_to_name_one);
  ruleset.legacy_tables = read_legacy_tables();
  return ruleset;
}

ForeignRuleset read_ruleset_to_check(const std::set<std::string>& without, std::size_t at_most) {
  ForeignRuleset ruleset;
  ForeignReader reader;
  reader.read_base_chains(ruleset);
  reader.read_flowtables(ruleset);
  std::erase_if(ruleset.chains, [&](const auto& chain) { return without.contains(chain.first.table); });
  std::vector<ChainName> next;
  for (const auto& [name, chain] : ruleset.chains)
    if (is_on_the_way(chain.base)) next.push_back(name);
  std::size_t left = at_most;
  while (!next.empty()) {
    const ChainName name = next.back();
    next.pop_back();
    if (ruleset.chains[name].was_read) continue;
    reader.read_rules(ruleset, name, left);
    const ForeignChain& chain = ruleset.chains[name];
    left -= chain.rules.size();
    for (const ForeignRule& rule : chain.rules)
      if (!rule.target.empty()) next.push_back({name.family, name.table, rule.target});
  }
  ruleset.legacy_tables = read_legacy_tables();
  return ruleset;
}

} // namespace hanat::nat
