// The table, in the order in which a packet meets it:
//   guard (prerouting -110), guard_output (output -110): answers what must not go on to a server;
//   translate (prerouting -105), translate_output (output -105): the first packet of a flow gets its server, by one lookup;
//   source (postrouting 95): the first packet gets its source address, where a service wants one.
// Packets after a flow's first never see the nat chains: conntrack repeats the translation.
#include "nat/layout.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>

#include "nat/rule_writer.hpp"

namespace hanat::nat {
namespace {

// After conntrack (-200), before every dstnat (-100): the guard must see the original destination, and ours is the first NAT to decide.
constexpr int guard_priority = -110;
constexpr int translate_priority = -105;
constexpr int source_priority = 95; // before srcnat (100), so that a general masquerade of the gateway does not take our flows first

// Translated sources stay below the probes' own source ports (61000-61999) and above the privileged ones. They are fully random: after a
// cut, a port kept for the next client would hand it a late answer meant for the last one.
constexpr std::uint16_t source_first = 1024;
constexpr std::uint16_t source_last = 60999;

// Bits of `ct state` as nf_tables has them: 1 << (ctinfo + 1), invalid is bit 0.
constexpr std::uint32_t state_invalid = 1U << 0;
constexpr std::uint32_t state_new = 1U << (IP_CT_NEW + 1);

// nft's type numbers, 6 bits a part: what `nft list` prints the keys by.
constexpr std::uint32_t type_ipv4 = 7, type_ipv6 = 8, type_protocol = 12, type_service = 13, type_verdict = 0xffffff00U;
constexpr std::uint32_t concatenated(std::initializer_list<std::uint32_t> parts) {
  std::uint32_t type = 0;
  for (const std::uint32_t part : parts) type = type << 6 | part;
  return type;
}

struct SetShape {
  std::uint32_t key_type = 0, key_length = 0, data_type = 0, data_length = 0; // data_length 0: a set, or a verdict map
  const char* comment = "";
};

SetShape shape_of(SetId id) {
  const std::uint32_t address = id.family == Family::ipv4 ? type_ipv4 : type_ipv6;
  const std::uint32_t length = id.family == Family::ipv4 ? 4 : 16;
  const std::uint32_t vip = concatenated({address, type_protocol, type_service});
  const std::uint32_t mapping = concatenated({address, type_protocol, type_service, address, type_service});
  const std::uint32_t vip_length = length + 8;
  const std::uint32_t mapping_length = vip_length + length + 4;
  switch (id.kind) {
  case SetKind::known: return {vip, vip_length, 0, 0, "every virtual endpoint of hanat; without a target its packets are dropped"};
  case SetKind::target:
    return {vip, vip_length, concatenated({address, type_service}), length + 4, "virtual endpoint : server of new flows"};
  case SetKind::refused: return {vip, vip_length, type_verdict, 0, "no server is left: clients are answered at once"};
  case SetKind::stale: return {mapping, mapping_length, 0, 0, "virtual endpoint . old server: clients still there are reset"};
  case SetKind::moved: return {vip, vip_length, 0, 0, "target changed within the last minute: leftovers of cut flows are reset"};
  case SetKind::armed: return {address, length, type_verdict, 0, "addresses with something refused, stale or moved; empty in peace"};
  case SetKind::masquerade: return {mapping, mapping_length, type_verdict, 0, "virtual endpoint . server: source becomes the gateway's"};
  case SetKind::source: return {mapping, mapping_length, address, length, "virtual endpoint . server : fixed source address"};
  }
  return {};
}

SetPtr make_set(const std::string& table, SetId id, std::uint32_t number) {
  const SetShape shape = shape_of(id);
  auto set = made(SetPtr{nftnl_set_alloc()});
  nftnl_set_set_u32(set.get(), NFTNL_SET_FAMILY, NFPROTO_INET);
  nftnl_set_set_str(set.get(), NFTNL_SET_TABLE, table.c_str());
  nftnl_set_set_str(set.get(), NFTNL_SET_NAME, name_of(id).c_str());
  nftnl_set_set_u32(set.get(), NFTNL_SET_ID, number);
  nftnl_set_set_u32(set.get(), NFTNL_SET_KEY_TYPE, shape.key_type);
  nftnl_set_set_u32(set.get(), NFTNL_SET_KEY_LEN, shape.key_length);
  if (shape.data_type != 0) {
    nftnl_set_set_u32(set.get(), NFTNL_SET_FLAGS, NFT_SET_MAP);
    nftnl_set_set_u32(set.get(), NFTNL_SET_DATA_TYPE, shape.data_type);
    if (shape.data_length != 0) nftnl_set_set_u32(set.get(), NFTNL_SET_DATA_LEN, shape.data_length);
  }
  if (id.kind == SetKind::target) nftnl_set_add_expr(set.get(), made(nftnl_expr_alloc("counter"))); // each element counts its new flows
  const auto data = made(UserDataPtr{nftnl_udata_buf_alloc(256)});
  nftnl_udata_put_strz(data.get(), NFTNL_UDATA_SET_COMMENT, shape.comment);
  nftnl_set_set_data(set.get(), NFTNL_SET_USERDATA, nftnl_udata_buf_data(data.get()), nftnl_udata_buf_len(data.get()));
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

/// Fills one chain after the other.
class Writer {
public:
  Writer(const std::string& table, Layout& layout) : table_(table), layout_(layout) {}
  RuleWriter rule(const std::string& comment) { return {table_, chain_, comment}; }
  void add(RuleWriter& writer) { layout_.rules.push_back(writer.take()); }
  void open(const std::string& chain) { chain_ = chain; }

private:
  const std::string& table_;
  Layout& layout_;
  std::string chain_;
};

void write_refuse(Writer& writer) {
  writer.open(chain_refuse);
  writer.add(writer.rule("TCP clients learn it at once").only_tcp().reject_with_tcp_reset());
  writer.add(writer.rule("others too, as far as the kernel's ICMP rate limit goes").reject_port_unreachable());
}

/// Reached only for addresses in `armed`. Replies of a server on the gateway's own address are not a client's packets.
void write_armed_guard(Writer& writer, Family family) {
  const auto set = [family](SetKind kind) { return name_of({kind, family}); };
  writer.open(family == Family::ipv4 ? chain_guard4 : chain_guard6);
  writer.add(writer.rule("answers to the gateway's own flows").in_reply_direction().verdict(NFT_RETURN));
  writer.add(writer.rule("no server left").only(family).load_vip_key(family).in_verdict_map(set(SetKind::refused)));
  // A SYN is left alone: it opens a new connection, or its flow is cut within a second and its next try meets the new target.
  writer.add(writer.rule("flow to an old server")
                 .only(family)
                 .only_tcp()
                 .no_tcp_flags(TH_SYN | TH_RST)
                 .load_vip_key(family)
                 .load_reply_source(family, words_of(family) + 2)
                 .in_set(set(SetKind::stale))
                 .reject_with_tcp_reset());
  // Never for every VIP: one stray segment out of the window is invalid too, and a reset of ours would kill its healthy connection.
  writer.add(writer.rule("leftover of a cut flow")
                 .only(family)
                 .only_tcp()
                 .ct_state(state_invalid)
                 .no_tcp_flags(TH_SYN | TH_RST)
                 .load_vip_key(family)
                 .in_set(set(SetKind::moved))
                 .reject_with_tcp_reset());
}

void write_midstream(Writer& writer) {
  writer.open("midstream");
  for (const Family family : families)
    writer.add(writer.rule("a flow that was cut")
                   .only(family)
                   .load_vip_key(family)
                   .in_set(name_of({SetKind::known, family}))
                   .reject_with_tcp_reset());
}

void write_guard(Writer& writer, const std::string& chain, bool for_clients_of_the_network) {
  writer.open(chain);
  for (const Family family : families)
    writer.add(writer.rule("refused, stale or moved").only(family).load_daddr(family, 0).in_verdict_map(name_of({SetKind::armed, family})));
  // On the gateway itself a cut flow is reset by the new server or by the rule for moved ones; one lookup less for all its own traffic.
  if (for_clients_of_the_network)
    writer.add(writer.rule("TCP in the middle of nothing")
                   .ct_state(state_new)
                   .only_tcp()
                   .no_tcp_flags(TH_SYN | TH_RST)
                   .verdict(NFT_GOTO, "midstream"));
}

void write_translate(Writer& writer, const std::string& chain) {
  writer.open(chain);
  for (const Family family : families)
    writer.add(
        writer.rule("one lookup decides").only(family).load_vip_key(family).from_map(name_of({SetKind::target, family})).dnat(family));
  // Behind the lookup: without a target nothing may leak to the default route or to a listener of the gateway. Kernels before 6.17 can also
  // miss an element that is being replaced; the client's next SYN heals that.
  for (const Family family : families)
    writer.add(writer.rule("no target yet").only(family).load_vip_key(family).in_set(name_of({SetKind::known, family})).verdict(NF_DROP));
}

void write_source(Writer& writer) {
  writer.open("source");
  for (const Family family : families) {
    const auto key = [family](RuleWriter&& rule) {
      const unsigned next = words_of(family) + 2;
      rule.only(family).load_original_vip(family).load_daddr(family, next).load_dport(next + words_of(family));
      return std::move(rule);
    };
    writer.add(key(writer.rule("source becomes the gateway's")).in_verdict_map(name_of({SetKind::masquerade, family})));
    writer.add(key(writer.rule("fixed source")).from_map(name_of({SetKind::source, family})).snat(family, source_first, source_last));
  }
  writer.open(chain_masquerade);
  writer.add(writer.rule("ports below those of hanat's probes").masquerade(source_first, source_last));
}

} // namespace

std::string table_comment() { return fmt::format("hanat layout {}", layout_version); }
bool is_ours(const std::string& comment) { return comment.starts_with("hanat layout "); }

Layout make_layout(const std::string& table) {
  Layout layout;
  std::uint32_t number = 0;
  for (const SetKind kind : set_kinds)
    for (const Family family : families) layout.sets.push_back(make_set(table, {kind, family}, ++number));
  for (const char* name : {chain_refuse, chain_masquerade, chain_guard4, chain_guard6, "midstream"})
    layout.chains.push_back(make_chain(table, name));
  layout.chains.push_back(make_base_chain(table, "guard", "filter", NF_INET_PRE_ROUTING, guard_priority));
  layout.chains.push_back(make_base_chain(table, "guard_output", "filter", NF_INET_LOCAL_OUT, guard_priority));
  layout.chains.push_back(make_base_chain(table, "translate", "nat", NF_INET_PRE_ROUTING, translate_priority));
  layout.chains.push_back(make_base_chain(table, "translate_output", "nat", NF_INET_LOCAL_OUT, translate_priority));
  layout.chains.push_back(make_base_chain(table, "source", "nat", NF_INET_POST_ROUTING, source_priority));
  Writer writer{table, layout};
  write_refuse(writer);
  for (const Family family : families) write_armed_guard(writer, family);
  write_midstream(writer);
  write_guard(writer, "guard", true);
  write_guard(writer, "guard_output", false);
  write_translate(writer, "translate");
  write_translate(writer, "translate_output");
  write_source(writer);
  return layout;
}

std::string describe(const nftnl_set& set) {
  const auto* object = &set;
  return fmt::format("set {} flags {} key {}/{} data {}/{}\n", nftnl_set_get_str(object, NFTNL_SET_NAME),
                     nftnl_set_get_u32(object, NFTNL_SET_FLAGS), nftnl_set_get_u32(object, NFTNL_SET_KEY_TYPE),
                     nftnl_set_get_u32(object, NFTNL_SET_KEY_LEN), nftnl_set_get_u32(object, NFTNL_SET_DATA_TYPE),
                     nftnl_set_get_u32(object, NFTNL_SET_DATA_TYPE) == type_verdict ? 0 : nftnl_set_get_u32(object, NFTNL_SET_DATA_LEN));
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
