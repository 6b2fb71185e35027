// Two sets, nine chains, eight rules.
#include "nat/nftables/trace_table.hpp"

#include <array>
#include <cerrno>
#include <limits>
#include <utility>

#include <netinet/tcp.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "nat/nftables/rule_writer.hpp"

#ifndef NFT_TABLE_F_OWNER // Linux 5.12
#define NFT_TABLE_F_OWNER 0x2
#endif

namespace hanat::nat {
namespace {

constexpr const char* trace_comment = "hanat: exists while clients are traced";
constexpr std::size_t trace_socket_bytes = std::size_t{1} << 20;

// A fragment has no ports before it is reassembled (-400).
constexpr int before_all_others = -399;
constexpr int after_conntrack = -199;
constexpr int first_of_all = std::numeric_limits<int>::min();
constexpr int last_of_all = std::numeric_limits<int>::max() - 1; // conntrack confirms the entries of new flows at the maximum

// A busy client costs no more than this: each traced packet is about twenty reports.
constexpr std::uint64_t traced_per_second = 20;

constexpr const char* traced_set(Family family) { return family == Family::ipv4 ? "traced4" : "traced6"; }

// nft's numbers of data types, 6 bits for each part of a concatenation.
constexpr std::uint32_t nft_type_ipv4 = 7, nft_type_ipv6 = 8, nft_type_protocol = 12, nft_type_service = 13;

/// client . virtual endpoint; a range of ports is one element.
SetPtr make_traced_set(const std::string& table, Family family, std::uint32_t number) {
  const std::uint32_t address = family == Family::ipv4 ? nft_type_ipv4 : nft_type_ipv6;
  const auto length = static_cast<std::uint8_t>(4 * registers_of(family));
  const std::array<std::uint8_t, 4> fields{length, length, 1, 2};
  auto set = make_named_set(table, traced_set(family));
  nftnl_set_set_u32(set.get(), NFTNL_SET_ID, number);
  nftnl_set_set_u32(set.get(), NFTNL_SET_FLAGS, std::uint32_t{NFT_SET_INTERVAL} | NFT_SET_CONCAT | NFT_SET_TIMEOUT);
  nftnl_set_set_u32(set.get(), NFTNL_SET_KEY_TYPE, ((address << 6 | address) << 6 | nft_type_protocol) << 6 | nft_type_service);
  nftnl_set_set_u32(set.get(), NFTNL_SET_KEY_LEN, 2U * length + 8);
  nftnl_set_set_data(set.get(), NFTNL_SET_DESC_CONCAT, fields.data(), fields.size());
  nftnl_set_set_u64(set.get(), NFTNL_SET_TIMEOUT, static_cast<std::uint64_t>(traced_at_most.count()));
  return set;
}

SetPtr make_traced_element(const std::string& table, const TracedClient& traced) {
  const Family family = traced.client.family();
  KeyBytes first;
  first.add(traced.client);
  first.add(traced.vip.address);
  first.add(traced.vip.protocol);
  const std::uint32_t port_at = first.size();
  first.add_port(traced.vip.port);
  const KeyBytes last = first.with_port(port_at, last_port(traced.vip));
  auto set = make_named_set(table, traced_set(family));
  nftnl_set_elem* element = made(nftnl_set_elem_alloc());
  nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, first.data(), first.size());
  nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY_END, last.data(), last.size());
  nftnl_set_elem_add(set.get(), element); // the set frees it
  return set;
}

ChainPtr make_trace_chain(const std::string& table, const char* name, std::uint32_t hook, int priority) {
  auto chain = made(ChainPtr{nftnl_chain_alloc()});
  nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_FAMILY, NFPROTO_INET);
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TABLE, table.c_str());
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_NAME, name);
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TYPE, "filter");
  nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_HOOKNUM, hook);
  nftnl_chain_set_s32(chain.get(), NFTNL_CHAIN_PRIO, priority);
  nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_POLICY, NF_ACCEPT);
  return chain;
}

/// Of TCP only what opens or refuses a connection: the rest of a flow would only cost.
void add_begin(Layout& layout, const std::string& table, const char* chain) {
  for (const Family family : both_families) {
    RuleWriter syn{table, chain, "a SYN of a traced client"};
    syn.only(family).only_tcp().tcp_flags(TH_SYN | TH_ACK | TH_RST, TH_SYN);
    layout.rules.push_back(syn.load_client_and_vip(family).in_set(traced_set(family)).limit(traced_per_second).set_nftrace().take());
    RuleWriter other{table, chain, "another packet of a traced client"};
    other.only(family).not_tcp();
    layout.rules.push_back(other.load_client_and_vip(family).in_set(traced_set(family)).limit(traced_per_second).set_nftrace().take());
  }
}

void add_begin_of_replies(Layout& layout, const std::string& table) {
  for (const Family family : both_families) {
    RuleWriter syn{table, trace_begins_reply, "a SYN ACK or RST to a traced client"};
    syn.only(family).only_tcp().any_tcp_flag(TH_SYN | TH_RST).in_reply_direction().load_original_client_and_vip(family);
    layout.rules.push_back(syn.in_set(traced_set(family)).limit(traced_per_second).set_nftrace().take());
    RuleWriter other{table, trace_begins_reply, "another reply to a traced client"};
    other.only(family).not_tcp().in_reply_direction().load_original_client_and_vip(family);
    layout.rules.push_back(other.in_set(traced_set(family)).limit(traced_per_second).set_nftrace().take());
  }
}

} // namespace

std::string trace_table_of(const std::string& table) { return table + "_trace"; }

Layout make_trace_layout(const std::string& name) {
  Layout layout;
  std::uint32_t number = 0;
  for (const Family family : both_families) layout.sets.push_back(make_traced_set(name, family, ++number));
  const auto chain = [&](const char* called, std::uint32_t hook, int priority) {
    layout.chains.push_back(make_trace_chain(name, called, hook, priority));
  };
  chain(trace_begins, NF_INET_PRE_ROUTING, before_all_others);
  chain(trace_begins_output, NF_INET_LOCAL_OUT, before_all_others);
  chain(trace_begins_reply, NF_INET_PRE_ROUTING, after_conntrack);
  chain(trace_to_routing, NF_INET_PRE_ROUTING, last_of_all);
  chain(trace_forwards, NF_INET_FORWARD, first_of_all);
  chain(trace_forwarded, NF_INET_FORWARD, last_of_all);
  chain(trace_delivers, NF_INET_LOCAL_IN, first_of_all);
  chain(trace_delivered, NF_INET_LOCAL_IN, last_of_all);
  chain(trace_leaves, NF_INET_POST_ROUTING, last_of_all);
  add_begin(layout, name, trace_begins);
  add_begin(layout, name, trace_begins_output);
  add_begin_of_replies(layout, name);
  return layout;
}

TraceTable::TraceTable(const std::string& table) : name_(trace_table_of(table)), socket_(trace_socket_bytes) {}

void TraceTable::commit(TransactionBuilder& builder, const char* what, const Netlink::OnRefusal& expected) {
  const Transaction transaction = builder.finish();
  socket_.skip_sequences_to(transaction.last_sequence + 1);
  socket_.exchange(transaction.bytes, transaction.first_sequence, transaction.last_sequence, what, {}, Netlink::silence_ms, expected);
}

void TraceTable::add(const TracedClient& client) {
  const auto known = clients_.find(client);
  if (known == clients_.end()) {
    TransactionBuilder builder{name_, socket_.next_sequence()};
    if (clients_.empty()) builder.add_table(NFT_TABLE_F_OWNER, trace_comment).add_objects(make_trace_layout(name_));
    commit(builder.add_elements(*make_traced_element(name_, client)), "load the table that traces clients");
  }
  ++clients_[client];
}

void TraceTable::remove(const TracedClient& client) {
  const auto known = clients_.find(client);
  if (known == clients_.end() || --known->second > 0) return;
  clients_.erase(known);
  TransactionBuilder builder{name_, socket_.next_sequence()};
  if (clients_.empty())
    builder.delete_table();
  else
    builder.delete_elements(*make_traced_element(name_, client));
  // An element that has expired is gone already.
  commit(builder, "remove the table that traces clients", [](std::uint32_t, int error) { return error == ENOENT; });
}

} // namespace hanat::nat
