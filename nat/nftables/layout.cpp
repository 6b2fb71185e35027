// The sets and chains of the table. A packet passes the base chains in this order:
//   untracked_output (output -300): hanatd's heartbeat is noted and dropped, its nudges and probes bypass conntrack; while conntrack's
//     table is full, replies to the probes bypass it, too, in untracked (prerouting -300);
//   guard (prerouting -110), guard_output (output -110): resets, rejects or drops what must not reach a server, holds refusals, and logs
//     clients in trouble;
//   dnat_prerouting (prerouting -105), dnat_output (output -105): the first packet of a flow gets its server, with one lookup of what
//     changes;
//   offloading (forward 10): while some service has offload = true, its established flows are put on the flowtable `flows`, which forwards
//     their packets at ingress, past all of this; it takes none of another service's;
//   source (postrouting 95): the first packet of a flow gets its source address, if the service wants one.
// Later packets of a flow do not pass the nat chains: conntrack repeats the translation.
#include "nat/nftables/layout.hpp"

#include <fmt/format.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "nat/nftables/rule_writer.hpp"
#include "nat/nftables/ruleset.hpp"

namespace hanat::nat {
namespace {

constexpr int untracked_priority = -300; // before conntrack (-200)
// After conntrack (-200) and before every dstnat (-100): the guard must see the original destination, and hanat's NAT must be the first.
constexpr int guard_priority = -110;
constexpr int dnat_priority = -105;
constexpr int offloading_priority = 10; // after filter (0): what the gateway's firewall drops is not put on the flowtable
constexpr int flowtable_priority = 0;
constexpr int source_priority = 95; // before srcnat (100), so that a general masquerade of the gateway does not apply to hanat's flows

// nft's numbers of data types, 6 bits for each part of a concatenation: `nft list` needs them to print the keys.
constexpr std::uint32_t type_family = 2, type_ipv4 = 7, type_ipv6 = 8, type_protocol = 12, type_service = 13, type_mark = 19,
                        type_interface = 20, type_verdict = 0xffffff00U;
constexpr std::uint32_t concatenated(std::initializer_list<std::uint32_t> parts) {
  std::uint32_t type = 0;
  for (const std::uint32_t part : parts) type = type << 6 | part;
  return type;
}

/// nft's number of the byte order of a data type, which its sets keep in their user data: 1 this machine's, 2 the network's, 0 for a
/// concatenation, whose parts have their own. nft 1.1 ends with a failed assertion where it evaluates a rule with the set of another order.
constexpr std::uint32_t byte_order_of(std::uint32_t type) {
  if (type == type_mark) return 1;
  return type == type_ipv4 || type == type_ipv6 ? 2 : 0;
}

struct SetShape {
  std::uint32_t key_type = 0, key_length = 0, data_type = 0, data_length = 0; // data_length 0: a set or a verdict map
  const char* comment = "";
  std::vector<std::uint8_t> fields{}; // bytes of each part of the key, if elements are intervals
};

/// What a flip changes of a port range, in the sets with its number. Each flow keeps its port, so the server is only an address.
SetShape shape_of_numbered(SetKind kind, std::uint32_t address, std::uint32_t length) {
  const std::uint32_t range = concatenated({address, type_protocol});
  const std::uint32_t mapping = concatenated({address, type_protocol, address});
  const std::uint32_t range_length = length + 4;
  const std::uint32_t mapping_length = range_length + length;
  switch (kind) {
  case SetKind::dnat: return {range, range_length, address, length, "port range : server of new flows, which keep their port"};
  case SetKind::reject: return {range, range_length, type_verdict, 0, "no server is left: clients are rejected or dropped"};
  case SetKind::stale: return {mapping, mapping_length, 0, 0, "port range . old server: its clients are reset"};
  case SetKind::recent: return {range, range_length, 0, 0, "target changed within the last minute: packets without a flow are reset"};
  case SetKind::hold: return {mapping, mapping_length, 0, 0, "port range . server: its first refusal of a client is held"};
  case SetKind::vips:
  case SetKind::guarding:
  case SetKind::guarded:
  case SetKind::masquerade:
  case SetKind::snat:
  case SetKind::translated:
  case SetKind::servers:
  case SetKind::displaced:
  case SetKind::settling:
  case SetKind::flows:
  case SetKind::ranges:
  case SetKind::offloaded: break;
  }
  return {};
}

/// Port ranges in sets of intervals.
SetShape shape_of_ranges(SetKind kind, std::uint32_t address, std::uint32_t length) {
  const std::uint32_t vip = concatenated({address, type_protocol, type_service});
  const std::uint32_t mapping = concatenated({address, type_protocol, type_service, address});
  const std::uint32_t vip_length = length + 8;
  const std::uint32_t mapping_length = vip_length + length;
  const auto bytes = static_cast<std::uint8_t>(length);
  const std::vector<std::uint8_t> vip_fields{bytes, 1, 2}, mapping_fields{bytes, 1, 2, bytes};
  switch (kind) {
  case SetKind::vips: return {vip, vip_length, 0, 0, "every port range of hanat; without a target its packets are dropped", vip_fields};
  case SetKind::dnat: return {vip, vip_length, address, length, "port range : server of new flows, which keep their port", vip_fields};
  case SetKind::reject: return {vip, vip_length, type_verdict, 0, "no server is left: clients are rejected or dropped", vip_fields};
  case SetKind::stale: return {mapping, mapping_length, 0, 0, "port range . old server: its clients are reset", mapping_fields};
  case SetKind::recent:
    return {vip, vip_length, 0, 0, "target changed within the last minute: packets without a flow are reset", vip_fields};
  case SetKind::hold: return {mapping, mapping_length, 0, 0, "port range . server: its first refusal of a client is held", mapping_fields};
  case SetKind::masquerade:
    return {mapping, mapping_length, type_verdict, 0, "port range . server: source address of the gateway", mapping_fields};
  case SetKind::snat: return {mapping, mapping_length, address, length, "port range . server : fixed source address", mapping_fields};
  case SetKind::servers: return {vip, vip_length, 0, 0, "port ranges of servers: TCP that fits no flow is dropped", vip_fields};
  case SetKind::displaced:
    return {vip, vip_length, 0, 0, "port ranges of servers that lost their traffic within the last minute: they open no flows", vip_fields};
  case SetKind::flows: break;
  case SetKind::ranges: return {vip, vip_length, 0, 0, "port ranges with this number: their elements are in the sets with it", vip_fields};
  case SetKind::offloaded: return {vip, vip_length, 0, 0, "port ranges whose established flows are forwarded by a flowtable", vip_fields};
  case SetKind::guarding:
  case SetKind::settling:
  case SetKind::guarded:
  case SetKind::translated: break;
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
  if (id.number != 0 && id.kind != SetKind::ranges) return shape_of_numbered(id.kind, address, length);
  if (id.ranges) return shape_of_ranges(id.kind, address, length);
  switch (id.kind) {
  case SetKind::vips: return {vip, vip_length, 0, 0, "every virtual endpoint of hanat; without a target its packets are dropped"};
  case SetKind::dnat: return {vip, vip_length, concatenated({address, type_service}), length + 4, "virtual endpoint : server of new flows"};
  case SetKind::reject: return {vip, vip_length, type_verdict, 0, "no server is left: clients are rejected or dropped"};
  case SetKind::stale: return {mapping, mapping_length, 0, 0, "virtual endpoint . old server: its clients are reset"};
  case SetKind::recent: return {vip, vip_length, 0, 0, "target changed within the last minute: packets without a flow are reset"};
  case SetKind::hold:
    return {mapping, mapping_length, 0, 0,
            "virtual endpoint . server: its first refusal of a client is held, another server may take over"};
  case SetKind::guarding: return {type_family, 1, 0, 0, "families of the addresses in guarded, or in settling; normally empty"};
  case SetKind::settling: return {type_family, 1, 0, 0, "both families while this gateway of a pair is standby or settles"};
  case SetKind::guarded: return {address, length, 0, 0, "addresses in reject, stale or recent; normally empty"};
  case SetKind::translated: return {address, length, type_verdict, 0, "addresses of servers in masquerade or snat"};
  case SetKind::masquerade: return {mapping, mapping_length, type_verdict, 0, "virtual endpoint . server: source address of the gateway"};
  case SetKind::snat: return {mapping, mapping_length, address, length, "virtual endpoint . server : fixed source address"};
  case SetKind::servers: return {vip, vip_length, 0, 0, "every server: TCP from there that fits no flow is dropped"};
  case SetKind::displaced:
    return {vip, vip_length, 0, 0, "servers that lost their traffic within the last minute: new flows from there are dropped"};
  case SetKind::flows: return {vip, vip_length, 0, 0, "every virtual endpoint of vips: counts the new flows to it"};
  case SetKind::ranges: break;
  case SetKind::offloaded: return {vip, vip_length, 0, 0, "virtual endpoints whose established flows are forwarded by a flowtable"};
  }
  return {};
}

SetPtr make_set(const std::string& table, const std::string& name, const SetShape& shape, std::uint32_t number) {
  auto set = make_named_set(table, name);
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
  nftnl_udata_put_u32(data.get(), NFTNL_UDATA_SET_KEYBYTEORDER, byte_order_of(shape.key_type));
  if (shape.data_type != 0) nftnl_udata_put_u32(data.get(), NFTNL_UDATA_SET_DATABYTEORDER, byte_order_of(shape.data_type));
  nftnl_udata_put_strz(data.get(), NFTNL_UDATA_SET_COMMENT, shape.comment);
  nftnl_set_set_data(set.get(), NFTNL_SET_USERDATA, nftnl_udata_buf_data(data.get()), nftnl_udata_buf_len(data.get()));
  return set;
}

SetPtr make_set(const std::string& table, SetId id, std::uint32_t number) {
  auto set = make_set(table, name_of(id), shape_of(id), number);
  const bool counts = id.kind == SetKind::flows || (id.kind == SetKind::dnat && id.ranges); // each element counts the new flows
  if (counts) nftnl_set_add_expr(set.get(), made(nftnl_expr_alloc("counter")));
  return set;
}

/// A set that packets fill and whose elements time out.
SetPtr make_timeout_set(const std::string& table, const std::string& name, const SetShape& shape, std::chrono::milliseconds timeout,
                        std::uint32_t size, std::uint32_t number) {
  auto set = make_set(table, name, shape, number);
  nftnl_set_set_u32(set.get(), NFTNL_SET_FLAGS, std::uint32_t{NFT_SET_TIMEOUT} | std::uint32_t{NFT_SET_EVAL});
  nftnl_set_set_u64(set.get(), NFTNL_SET_TIMEOUT, static_cast<std::uint64_t>(timeout.count()));
  nftnl_set_set_u32(set.get(), NFTNL_SET_DESC_SIZE, size);
  return set;
}

SetShape shape_of_client(Family family, const char* comment) {
  const std::uint32_t address = family == Family::ipv4 ? type_ipv4 : type_ipv6;
  return {.key_type = concatenated({address, type_service, address, type_service}),
          .key_length = 2 * (4 * registers_of(family) + 4),
          .comment = comment};
}

constexpr const char* held_comment = "client . virtual endpoint: a refusal was held; the next one passes";
constexpr const char* orphans_comment = "client . virtual endpoint: sent TCP that fits no flow; reset when it goes on";
constexpr const char* orphans_now_comment = "the same within the last second: counted once";

constexpr const char* attempts_comment = "client . virtual endpoint: sent a SYN within the last seconds; one found again is repeated";

constexpr const char* waiting_comment = "client . virtual endpoint: repeated a SYN; the first answer that it gets is logged";

/// A client, whatever its port, and a virtual endpoint.
SetShape shape_of_waiting(Family family) {
  const std::uint32_t address = family == Family::ipv4 ? type_ipv4 : type_ipv6;
  return {.key_type = concatenated({address, address, type_protocol, type_service}),
          .key_length = 2 * 4 * registers_of(family) + 8,
          .comment = waiting_comment};
}

constexpr const char* heartbeat_comment = "renewed by hanatd every second, by a packet that is dropped; without an element refusals pass";
constexpr const char* hairpin_ifaces_comment = "interface . itself: recognises packets that leave by the interface they came in by";

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

void add_chains(Layout& layout, const std::string& table) {
  for (const char* name : {chain_refuse,
                           chain_refuse_new,
                           chain_masquerade,
                           chain_hairpin,
                           chain_guard4,
                           chain_guard6,
                           chain_source_ipv4,
                           chain_source_ipv6,
                           "picked_up",
                           "reconnect",
                           "orphan4",
                           "orphan6",
                           "midstream",
                           "guarded",
                           "segment",
                           "opening",
                           "hold",
                           "settle",
                           "unanswered",
                           "answered",
                           "repeated_syn",
                           "client_syn",
                           "sample",
                           "unreachable",
                           "undelivered",
                           "unacknowledged",
                           chain_dnat4,
                           chain_dnat6,
                           chain_dnat_ranges,
                           chain_guard4_ranges,
                           chain_guard6_ranges,
                           chain_hold_ranges,
                           chain_unreachable_ranges})
    layout.chains.push_back(make_chain(table, name));
  layout.chains.push_back(make_base_chain(table, "untracked_output", "filter", NF_INET_LOCAL_OUT, untracked_priority));
  layout.chains.push_back(make_base_chain(table, "guard", "filter", NF_INET_PRE_ROUTING, guard_priority));
  layout.chains.push_back(make_base_chain(table, "guard_output", "filter", NF_INET_LOCAL_OUT, guard_priority));
  // Not just `dnat`: that is a keyword of nft, and nft -f refuses a script with a chain of that name, such as a saved listing.
  layout.chains.push_back(make_base_chain(table, "dnat_prerouting", "nat", NF_INET_PRE_ROUTING, dnat_priority));
  layout.chains.push_back(make_base_chain(table, "dnat_output", "nat", NF_INET_LOCAL_OUT, dnat_priority));
  layout.chains.push_back(make_base_chain(table, "source", "nat", NF_INET_POST_ROUTING, source_priority));
}

} // namespace

std::string table_comment() { return fmt::format("hanat layout {}", layout_version); }
bool is_ours(const std::string& comment) { return comment.starts_with("hanat layout "); }

Layout make_layout(const std::string& table, const RuleOptions& options) {
  Layout layout;
  std::uint32_t number = 0;
  for (const SetId id : set_ids()) layout.sets.push_back(make_set(table, id, ++number));
  const SetShape heartbeat{.key_type = type_mark, .key_length = 4, .comment = heartbeat_comment};
  layout.sets.push_back(make_timeout_set(table, set_heartbeat, heartbeat, heartbeat_for, heartbeats_at_most, ++number));
  for (const Family family : both_families)
    for (const char* held : {held_set(family), held_other_set(family)})
      layout.sets.push_back(make_timeout_set(table, held, shape_of_client(family, held_comment), held_for, held_at_most, ++number));
  for (const Family family : both_families) {
    const SetShape orphans = shape_of_client(family, orphans_comment), now = shape_of_client(family, orphans_now_comment);
    layout.sets.push_back(make_timeout_set(table, orphans_set(family), orphans, orphans_for, orphans_at_most, ++number));
    layout.sets.push_back(make_timeout_set(table, orphans_now_set(family), now, orphans_now_for, orphans_at_most, ++number));
  }
  for (const Family family : both_families) {
    const SetShape attempts = shape_of_client(family, attempts_comment);
    layout.sets.push_back(make_timeout_set(table, attempts_set(family), attempts, attempts_for, attempts_at_most, ++number));
    layout.sets.push_back(make_timeout_set(table, waiting_set(family), shape_of_waiting(family), waiting_for, waiting_at_most, ++number));
  }
  const SetShape interfaces{.key_type = concatenated({type_interface, type_interface}), .key_length = 8, .comment = hairpin_ifaces_comment};
  layout.sets.push_back(make_timeout_set(table, set_hairpin_ifaces, interfaces, hairpin_iface_for, hairpin_ifaces_at_most, ++number));
  add_chains(layout, table);
  for (std::uint8_t range = 1; range <= options.range_numbers; ++range)
    for (const SetId id : set_ids_of_range(range)) layout.sets.push_back(make_set(table, id, ++number));
  layout.rules = make_ruleset(table, options);
  return layout;
}

Layout make_range_layout(const std::string& table, std::uint8_t number) {
  Layout layout;
  std::uint32_t id_in_batch = 0;
  for (const SetId id : set_ids_of_range(number)) layout.sets.push_back(make_set(table, id, number * 100U + ++id_in_batch));
  layout.rules = make_rules_of_range(table, number);
  return layout;
}

std::vector<SetPtr> make_sets_of_layout_9(const std::string& table) {
  std::vector<SetPtr> sets;
  for (const SetId id : set_ids_of_layout_9()) sets.push_back(make_set(table, id, 0));
  return sets;
}

UntrackedReplies make_untracked_replies(const std::string& table, const ProbePorts& ports) {
  return {.chain = make_base_chain(table, chain_untracked, "filter", NF_INET_PRE_ROUTING, untracked_priority),
          .rule = make_untracked_rule(table, ports)};
}

Offloading make_offloading(const std::string& table) {
  auto flowtable = make_flowtable(table);
  nftnl_flowtable_set_u32(flowtable.get(), NFTNL_FLOWTABLE_HOOKNUM, NF_NETDEV_INGRESS);
  nftnl_flowtable_set_s32(flowtable.get(), NFTNL_FLOWTABLE_PRIO, flowtable_priority);
  return {.flowtable = std::move(flowtable),
          .chain = make_base_chain(table, chain_offloading, "filter", NF_INET_FORWARD, offloading_priority),
          .rules = make_offloading_rules(table)};
}

FlowtablePtr make_flowtable(const std::string& table) {
  auto flowtable = made(FlowtablePtr{nftnl_flowtable_alloc()});
  nftnl_flowtable_set_u32(flowtable.get(), NFTNL_FLOWTABLE_FAMILY, NFPROTO_INET);
  nftnl_flowtable_set_str(flowtable.get(), NFTNL_FLOWTABLE_TABLE, table.c_str());
  nftnl_flowtable_set_str(flowtable.get(), NFTNL_FLOWTABLE_NAME, flowtable_name);
  return flowtable;
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

std::string describe(const nftnl_flowtable& flowtable) {
  const auto* object = &flowtable;
  return fmt::format("flowtable {} hook {} priority {} flags {}\n", nftnl_flowtable_get_str(object, NFTNL_FLOWTABLE_NAME),
                     nftnl_flowtable_get_u32(object, NFTNL_FLOWTABLE_HOOKNUM), nftnl_flowtable_get_s32(object, NFTNL_FLOWTABLE_PRIO),
                     nftnl_flowtable_get_u32(object, NFTNL_FLOWTABLE_FLAGS));
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
