// The table, in the order in which a packet meets it:
//   untracked_output (output -300): hanatd's own nudges and probes pass by conntrack, and, while its table is full, untracked (prerouting
//   -300): so do the answers to the probes;
//   guard (prerouting -110), guard_output (output -110): answers what must not go on to a server, holds and
//     tells of what servers do to clients that open a connection;
//   translate (prerouting -105), translate_output (output -105): the first packet of a flow gets its server, by one lookup;
//   source (postrouting 95): the first packet gets its source address, where a service wants one.
// Packets after a flow's first never see the nat chains: conntrack repeats the translation.
#include "nat/layout.hpp"

#include <fmt/format.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "nat/layout_rules.hpp"
#include "nat/rule_writer.hpp"

namespace hanat::nat {
namespace {

constexpr int untracked_priority = -300; // before conntrack (-200)
// After conntrack (-200), before every dstnat (-100): the guard must see the original destination, and ours is the first NAT to decide.
constexpr int guard_priority = -110;
constexpr int translate_priority = -105;
constexpr int source_priority = 95; // before srcnat (100), so that a general masquerade of the gateway does not take our flows first

// nft's type numbers, 6 bits a part: what `nft list` prints the keys by.
constexpr std::uint32_t type_ipv4 = 7, type_ipv6 = 8, type_protocol = 12, type_service = 13, type_interface = 20,
                        type_verdict = 0xffffff00U;
constexpr std::uint32_t concatenated(std::initializer_list<std::uint32_t> parts) {
  std::uint32_t type = 0;
  for (const std::uint32_t part : parts) type = type << 6 | part;
  return type;
}

struct SetShape {
  std::uint32_t key_type = 0, key_length = 0, data_type = 0, data_length = 0; // data_length 0: a set, or a verdict map
  const char* comment = "";
  std::vector<std::uint8_t> fields{}; // bytes of each part of the key, where elements are intervals
};

/// Ranges: each flow keeps its port, so that the server's address alone is said.
SetShape shape_of_ranges(SetKind kind, std::uint32_t address, std::uint32_t length) {
  const std::uint32_t vip = concatenated({address, type_protocol, type_service});
  const std::uint32_t mapping = concatenated({address, type_protocol, type_service, address});
  const std::uint32_t vip_length = length + 8;
  const std::uint32_t mapping_length = vip_length + length;
  const auto bytes = static_cast<std::uint8_t>(length);
  const std::vector<std::uint8_t> vip_fields{bytes, 1, 2}, mapping_fields{bytes, 1, 2, bytes};
  switch (kind) {
  case SetKind::known: return {vip, vip_length, 0, 0, "every range of ports of hanat", vip_fields};
  case SetKind::target:
    return {vip, vip_length, address, length, "range of ports : server of new flows, which keep their port", vip_fields};
  case SetKind::refused: return {vip, vip_length, type_verdict, 0, "no server is left: clients are answered at once", vip_fields};
  case SetKind::stale: return {mapping, mapping_length, 0, 0, "range . old server: clients still there are reset", mapping_fields};
  case SetKind::moved: return {vip, vip_length, 0, 0, "target changed within the last minute", vip_fields};
  case SetKind::hold: return {mapping, mapping_length, 0, 0, "range . server: its refusal is kept from a client, once", mapping_fields};
  case SetKind::masquerade:
    return {mapping, mapping_length, type_verdict, 0, "range . server: source becomes the gateway's", mapping_fields};
  case SetKind::source: return {mapping, mapping_length, address, length, "range . server : fixed source address", mapping_fields};
  case SetKind::armed: break;
  }
  return {};
}

SetShape shape_of(SetId id) {
  const std::uint32_t address = id.family == Family::ipv4 ? type_ipv4 : type_ipv6;
  const std::uint32_t length = id.family == Family::ipv4 ? 4 : 16;
  const std::uint32_t vip = concatenated({address, type_protocol, type_service});
  const std::uint32_t mapping = concatenated({address, type_protocol, type_service, address, type_service});
  const std::uint32_t vip_length = length + 8;
  const std::uint32_t mapping_length = vip_length + length + 4;
  if (id.ranges) return shape_of_ranges(id.kind, address, length);
  switch (id.kind) {
  case SetKind::known: return {vip, vip_length, 0, 0, "every virtual endpoint of hanat; without a target its packets are dropped"};
  case SetKind::target:
    return {vip, vip_length, concatenated({address, type_service}), length + 4, "virtual endpoint : server of new flows"};
  case SetKind::refused: return {vip, vip_length, type_verdict, 0, "no server is left: clients are answered at once"};
  case SetKind::stale: return {mapping, mapping_length, 0, 0, "virtual endpoint . old server: clients still there are reset"};
  case SetKind::moved: return {vip, vip_length, 0, 0, "target changed within the last minute: leftovers of cut flows are reset"};
  case SetKind::hold:
    return {mapping, mapping_length, 0, 0, "virtual endpoint . server: its refusal is kept from a client, once; another server may do"};
  case SetKind::armed: return {address, length, type_verdict, 0, "addresses with something refused, stale or moved; empty in peace"};
  case SetKind::masquerade: return {mapping, mapping_length, type_verdict, 0, "virtual endpoint . server: source becomes the gateway's"};
  case SetKind::source: return {mapping, mapping_length, address, length, "virtual endpoint . server : fixed source address"};
  }
  return {};
}

SetPtr make_set(const std::string& table, const std::string& name, const SetShape& shape, std::uint32_t number) {
  auto set = made(SetPtr{nftnl_set_alloc()});
  nftnl_set_set_u32(set.get(), NFTNL_SET_FAMILY, NFPROTO_INET);
  nftnl_set_set_str(set.get(), NFTNL_SET_TABLE, table.c_str());
  nftnl_set_set_str(set.get(), NFTNL_SET_NAME, name.c_str());
  nftnl_set_set_u32(set.get(), NFTNL_SET_ID, number);
  nftnl_set_set_u32(set.get(), NFTNL_SET_KEY_TYPE, shape.key_type);
  nftnl_set_set_u32(set.get(), NFTNL_SET_KEY_LEN, shape.key_length);
  constexpr std::uint32_t intervals = NFT_SET_INTERVAL | NFT_SET_CONCAT;
  const std::uint32_t flags = (shape.data_type != 0 ? std::uint32_t{NFT_SET_MAP} : 0) | (shape.fields.empty() ? 0 : intervals);
  if (flags != 0) nftnl_set_set_u32(set.get(), NFTNL_SET_FLAGS, flags);
  if (!shape.fields.empty())
    nftnl_set_set_data(set.get(), NFTNL_SET_DESC_CONCAT, shape.fields.data(), static_cast<std::uint32_t>(shape.fields.size()));
  if (shape.data_type != 0) {
    nftnl_set_set_u32(set.get(), NFTNL_SET_DATA_TYPE, shape.data_type);
    if (shape.data_length != 0) nftnl_set_set_u32(set.get(), NFTNL_SET_DATA_LEN, shape.data_length);
  }
  const auto data = made(UserDataPtr{nftnl_udata_buf_alloc(256)});
  nftnl_udata_put_strz(data.get(), NFTNL_UDATA_SET_COMMENT, shape.comment);
  nftnl_set_set_data(set.get(), NFTNL_SET_USERDATA, nftnl_udata_buf_data(data.get()), nftnl_udata_buf_len(data.get()));
  return set;
}

SetPtr make_set(const std::string& table, SetId id, std::uint32_t number) {
  auto set = make_set(table, name_of(id), shape_of(id), number);
  if (id.kind == SetKind::target) nftnl_set_add_expr(set.get(), made(nftnl_expr_alloc("counter"))); // each element counts its new flows
  return set;
}

SetPtr make_alive_set(const std::string& table, std::uint32_t number) {
  auto set = make_set(table, set_alive, {type_protocol, 1, 0, 0, "hanatd lives; without it refusals get through"}, number);
  nftnl_set_set_u32(set.get(), NFTNL_SET_FLAGS, NFT_SET_TIMEOUT);
  nftnl_set_set_u64(set.get(), NFTNL_SET_TIMEOUT, alive_for.count());
  return set;
}

SetPtr make_held_set(const std::string& table, Family family, std::uint32_t number) {
  const std::uint32_t address = family == Family::ipv4 ? type_ipv4 : type_ipv6;
  const std::uint32_t length = 2 * (4 * words_of(family) + 4);
  auto set = make_set(table, held_set(family),
                      {concatenated({address, type_service, address, type_service}), length, 0, 0,
                       "client . virtual endpoint: a refusal was held; the next one gets through"},
                      number);
  nftnl_set_set_u32(set.get(), NFTNL_SET_FLAGS, NFT_SET_TIMEOUT | NFT_SET_EVAL);
  nftnl_set_set_u64(set.get(), NFTNL_SET_TIMEOUT, held_for.count());
  nftnl_set_set_u32(set.get(), NFTNL_SET_DESC_SIZE, held_at_most);
  return set;
}

SetPtr make_same_way_set(const std::string& table, std::uint32_t number) {
  auto set = make_set(
      table, set_same_way,
      {concatenated({type_interface, type_interface}), 8, 0, 0, "interface . itself: a packet that leaves as it came is known by it"},
      number);
  nftnl_set_set_u32(set.get(), NFTNL_SET_FLAGS, NFT_SET_TIMEOUT | NFT_SET_EVAL);
  nftnl_set_set_u64(set.get(), NFTNL_SET_TIMEOUT, same_way_for.count());
  nftnl_set_set_u32(set.get(), NFTNL_SET_DESC_SIZE, same_way_at_most);
  return set;
}

ChainPtr make_chain(const std::string& table, const std::string& name) {
  auto chain = made(ChainPtr{nftnl_chain_alloc()});
  nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_FAMILY, NFPROTO_INET);
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TABLE, table.c_str());
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_NAME, name.c_str());
  return chain;
}

ChainPtr make_base_chain(const std::string& table, const std::string& name, const char* type, std::uint32_t hook, int priority) {
  auto chain = make_chain(table, name);
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TYPE, type);
  nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_HOOKNUM, hook);
  nftnl_chain_set_s32(chain.get(), NFTNL_CHAIN_PRIO, priority);
  nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_POLICY, NF_ACCEPT);
  return chain;
}

} // namespace

std::string table_comment() { return fmt::format("hanat layout {}", layout_version); }
bool is_ours(const std::string& comment) { return comment.starts_with("hanat layout "); }

Layout make_layout(const std::string& table) {
  Layout layout;
  std::uint32_t number = 0;
  for (const SetId id : set_ids()) layout.sets.push_back(make_set(table, id, ++number));
  layout.sets.push_back(make_alive_set(table, ++number));
  for (const Family family : families) layout.sets.push_back(make_held_set(table, family, ++number));
  layout.sets.push_back(make_same_way_set(table, ++number));
  for (const char* name :
       {chain_refuse, chain_masquerade, chain_hairpin, chain_guard4, chain_guard6, "midstream", "hold", "unanswered", "unreachable"})
    layout.chains.push_back(make_chain(table, name));
  layout.chains.push_back(make_base_chain(table, "untracked_output", "filter", NF_INET_LOCAL_OUT, untracked_priority));
  layout.chains.push_back(make_base_chain(table, "guard", "filter", NF_INET_PRE_ROUTING, guard_priority));
  layout.chains.push_back(make_base_chain(table, "guard_output", "filter", NF_INET_LOCAL_OUT, guard_priority));
  layout.chains.push_back(make_base_chain(table, "translate", "nat", NF_INET_PRE_ROUTING, translate_priority));
  layout.chains.push_back(make_base_chain(table, "translate_output", "nat", NF_INET_LOCAL_OUT, translate_priority));
  layout.chains.push_back(make_base_chain(table, "source", "nat", NF_INET_POST_ROUTING, source_priority));
  layout.rules = make_rules(table);
  return layout;
}

UntrackedAnswers make_untracked_answers(const std::string& table) {
  return {.chain = make_base_chain(table, chain_untracked, "filter", NF_INET_PRE_ROUTING, untracked_priority),
          .rule = make_untracked_rule(table)};
}

std::string describe(const nftnl_set& set) {
  const auto* object = &set;
  std::string text =
      fmt::format("set {} flags {} key {}/{} data {}/{}", nftnl_set_get_str(object, NFTNL_SET_NAME),
                  nftnl_set_get_u32(object, NFTNL_SET_FLAGS), nftnl_set_get_u32(object, NFTNL_SET_KEY_TYPE),
                  nftnl_set_get_u32(object, NFTNL_SET_KEY_LEN), nftnl_set_get_u32(object, NFTNL_SET_DATA_TYPE),
                  nftnl_set_get_u32(object, NFTNL_SET_DATA_TYPE) == type_verdict ? 0 : nftnl_set_get_u32(object, NFTNL_SET_DATA_LEN));
  if (nftnl_set_is_set(object, NFTNL_SET_TIMEOUT)) text += fmt::format(" timeout {} ms", nftnl_set_get_u64(object, NFTNL_SET_TIMEOUT));
  if (nftnl_set_is_set(object, NFTNL_SET_DESC_SIZE)) text += fmt::format(" size {}", nftnl_set_get_u32(object, NFTNL_SET_DESC_SIZE));
  return text + "\n";
}

std::string describe(const nftnl_chain& chain) {
  const auto* object = &chain;
  std::string text = fmt::format("chain {}", nftnl_chain_get_str(object, NFTNL_CHAIN_NAME));
  if (nftnl_chain_is_set(object, NFTNL_CHAIN_HOOKNUM))
    text += fmt::format(" type {} hook {} priority {} policy {}", nftnl_chain_get_str(object, NFTNL_CHAIN_TYPE),
                        nftnl_chain_get_u32(object, NFTNL_CHAIN_HOOKNUM), nftnl_chain_get_s32(object, NFTNL_CHAIN_PRIO),
                        nftnl_chain_get_u32(object, NFTNL_CHAIN_POLICY));
  return text + "\n";
}

} // namespace hanat::nat
