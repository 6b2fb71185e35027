// Follows what each expression of a rule loads into which register, until a comparison makes a condition of it.
#include "nat/nftables/rule_parser.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <span>
#include <string_view>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/xt_CT.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_tcpudp.h>

#include "nat/nftables/comment.hpp"
#include "nat/printable.hpp"

namespace hanat::nat {
namespace {

using ByteSpan = std::span<const std::uint8_t>;
using ByteVector = std::vector<std::uint8_t>;
using Field = Condition::Field;
using Compare = Condition::Compare;

/// 128-bit registers are numbered 1..4, 32-bit registers from 8.
std::uint32_t slot_of(std::uint32_t number) { return number <= 4 ? (number - 1) * 4 : number - 8; }

ByteSpan bytes_of_attribute(const nftnl_expr& expression, std::uint16_t attribute) {
  if (!nftnl_expr_is_set(&expression, attribute)) return {};
  std::uint32_t length = 0;
  const auto* bytes = static_cast<const std::uint8_t*>(nftnl_expr_get(&expression, attribute, &length));
  if (bytes == nullptr) return {};
  return {bytes, length};
}

/// A copy, since an attribute need not be aligned, and of an older revision it is shorter: the rest is zero.
template <typename Info> Info info_in(ByteSpan bytes) {
  Info info{};
  std::memcpy(&info, bytes.data(), std::min(bytes.size(), sizeof info));
  return info;
}

Condition opaque_condition() { return {.field = Field::opaque}; }

/// Matches of iptables about who sent a packet: a list of addresses, a rate of each.
bool is_by_source(std::string_view match) {
  constexpr std::array<std::string_view, 9> names{"set", "recent", "iprange", "geoip", "mac", "srcset", "hashlimit", "connlimit", "asn"};
  return std::ranges::find(names, match) != names.end();
}

/// What a register holds.
struct Held {
  enum class Kind : std::uint8_t { unknown, field, constant } kind = Kind::unknown;
  Condition field{}; // without a comparison; an empty mask: every byte counts
  ByteVector constant{};
};

class RuleParser {
public:
  void take(nftnl_expr& expression);
  ForeignRule finish() { return std::move(rule_); }
  ForeignRule& rule() { return rule_; }

private:
  std::uint32_t number(std::uint16_t attribute) const { return nftnl_expr_get_u32(expression_, attribute); }
  const char* text(std::uint16_t attribute) const { return nftnl_expr_get_str(expression_, attribute); }
  bool has(std::uint16_t attribute) const { return nftnl_expr_is_set(expression_, attribute); }
  void add_opaque() { rule_.matches.push_back(opaque_condition()); }
  /// What the opaque condition that was added last looks up.
  void say_about(Field field, std::uint32_t key) {
    rule_.matches.back().about = field;
    rule_.matches.back().key = key;
  }
  void set_action(RuleAction action) { rule_.action = action; }

  bool take_load(std::string_view name);
  bool take_condition(std::string_view name);
  void take_immediate();
  void take_bitwise();
  void take_cmp();
  void take_range();
  void take_lookup();
  void take_nat();
  void take_match();
  void take_conntrack_match(ByteSpan info);
  void take_ports_match(std::uint8_t protocol, std::span<const std::uint16_t, 2> from, std::span<const std::uint16_t, 2> to, bool inverted);
  void take_target();

  ForeignRule rule_;
  const nftnl_expr* expression_ = nullptr;
  std::map<std::uint32_t, Held> registers_; // by slot
};

void RuleParser::take_immediate() {
  if (const std::uint32_t destination = number(NFTNL_EXPR_IMM_DREG); destination != NFT_REG_VERDICT) {
    const ByteSpan bytes = bytes_of_attribute(*expression_, NFTNL_EXPR_IMM_DATA);
    registers_[slot_of(destination)] = {.kind = Held::Kind::constant, .constant = {bytes.begin(), bytes.end()}};
    return;
  }
  const auto code = static_cast<std::int32_t>(number(NFTNL_EXPR_IMM_VERDICT));
  if (has(NFTNL_EXPR_IMM_CHAIN)) rule_.target = printable(text(NFTNL_EXPR_IMM_CHAIN));
  switch (code) {
  case NFT_JUMP: return set_action(RuleAction::jump);
  case NFT_GOTO: return set_action(RuleAction::go_to);
  case NFT_RETURN: return set_action(RuleAction::back);
  case NFT_CONTINUE:
  case NFT_BREAK: return;
  default: break;
  }
  switch (code & NF_VERDICT_MASK) {
  case NF_ACCEPT: return set_action(RuleAction::accept);
  case NF_DROP: return set_action(RuleAction::drop);
  case NF_QUEUE: return set_action(RuleAction::queue);
  default: return set_action(RuleAction::other);
  }
}

void RuleParser::take_bitwise() {
  const auto source = registers_.find(slot_of(number(NFTNL_EXPR_BITWISE_SREG)));
  const ByteSpan mask = bytes_of_attribute(*expression_, NFTNL_EXPR_BITWISE_MASK);
  const ByteSpan flipped = bytes_of_attribute(*expression_, NFTNL_EXPR_BITWISE_XOR);
  const bool only_masks = !mask.empty() && std::ranges::all_of(flipped, [](std::uint8_t byte) { return byte == 0; });
  Held result;
  if (source != registers_.end() && source->second.kind == Held::Kind::field && source->second.field.mask.empty() && only_masks) {
    result = source->second;
    result.field.mask.assign(mask.begin(), mask.end());
  }
  registers_[slot_of(number(NFTNL_EXPR_BITWISE_DREG))] = result;
}

std::optional<Compare> to_compare(std::uint32_t operation) {
  switch (operation) {
  case NFT_CMP_EQ: return Compare::equal;
  case NFT_CMP_NEQ: return Compare::not_equal;
  case NFT_CMP_LT: return Compare::less;
  case NFT_CMP_LTE: return Compare::less_or_equal;
  case NFT_CMP_GT: return Compare::greater;
  case NFT_CMP_GTE: return Compare::greater_or_equal;
  default: return std::nullopt;
  }
}

/// nft may load more bytes of a field than it compares.
std::optional<Condition> condition_on(const Held& held, std::optional<Compare> compare, ByteSpan value) {
  if (held.kind != Held::Kind::field || !compare || value.empty()) return std::nullopt;
  Condition condition = held.field;
  if (!condition.mask.empty() && condition.mask.size() < value.size()) return std::nullopt;
  condition.compare = *compare;
  condition.value.assign(value.begin(), value.end());
  if (condition.mask.empty()) condition.mask.assign(value.size(), 0xff);
  condition.mask.resize(value.size());
  return condition;
}

void RuleParser::take_cmp() {
  const Held held = registers_[slot_of(number(NFTNL_EXPR_CMP_SREG))];
  const auto condition = condition_on(held, to_compare(number(NFTNL_EXPR_CMP_OP)), bytes_of_attribute(*expression_, NFTNL_EXPR_CMP_DATA));
  rule_.matches.push_back(condition.value_or(opaque_condition()));
}

void RuleParser::take_range() {
  const Held held = registers_[slot_of(number(NFTNL_EXPR_RANGE_SREG))];
  const auto from = condition_on(held, Compare::greater_or_equal, bytes_of_attribute(*expression_, NFTNL_EXPR_RANGE_FROM_DATA));
  const auto to = condition_on(held, Compare::less_or_equal, bytes_of_attribute(*expression_, NFTNL_EXPR_RANGE_TO_DATA));
  if (!from || !to || number(NFTNL_EXPR_RANGE_OP) != NFT_RANGE_EQ) return add_opaque();
  rule_.matches.push_back(*from);
  rule_.matches.push_back(*to);
}

/// A set is not read: whether it has the packet is not known.
void RuleParser::take_lookup() {
  const Held held = registers_[slot_of(number(NFTNL_EXPR_LOOKUP_SREG))];
  add_opaque();
  if (held.kind == Held::Kind::field) say_about(held.field.field, held.field.key);
  if (!has(NFTNL_EXPR_LOOKUP_DREG)) return;
  if (const std::uint32_t destination = number(NFTNL_EXPR_LOOKUP_DREG); destination != NFT_REG_VERDICT)
    registers_[slot_of(destination)] = {};
  else
    set_action(RuleAction::verdict_map);
}

void RuleParser::take_nat() {
  if (number(NFTNL_EXPR_NAT_TYPE) != NFT_NAT_DNAT) return set_action(RuleAction::snat);
  set_action(RuleAction::dnat);
  if (!has(NFTNL_EXPR_NAT_REG_ADDR_MIN)) return;
  const Held& address = registers_[slot_of(number(NFTNL_EXPR_NAT_REG_ADDR_MIN))];
  if (address.kind != Held::Kind::constant || (address.constant.size() != 4 && address.constant.size() != 16)) return;
  rule_.to = Endpoint{.address = Address::from_bytes(address.constant), .port = 0};
  if (!has(NFTNL_EXPR_NAT_REG_PROTO_MIN)) return;
  const Held& port = registers_[slot_of(number(NFTNL_EXPR_NAT_REG_PROTO_MIN))];
  if (port.kind == Held::Kind::constant && port.constant.size() >= 2)
    rule_.to->port = static_cast<std::uint16_t>(port.constant[0] << 8 | port.constant[1]);
}

void RuleParser::take_conntrack_match(ByteSpan bytes) {
  const auto info = info_in<xt_conntrack_mtinfo3>(bytes);
  constexpr std::uint16_t understood = XT_CONNTRACK_STATE | XT_CONNTRACK_STATE_ALIAS;
  if ((info.match_flags & XT_CONNTRACK_STATE) != 0) {
    Condition state{.field = Field::iptables_state};
    state.compare = (info.invert_flags & XT_CONNTRACK_STATE) != 0 ? Compare::not_equal : Compare::equal;
    state.mask = {static_cast<std::uint8_t>(info.state_mask), static_cast<std::uint8_t>(info.state_mask >> 8)};
    rule_.matches.push_back(std::move(state));
  }
  if ((info.match_flags & ~understood) != 0) add_opaque();
}

/// Ports in the numbers of this machine; those of the whole range say nothing.
void RuleParser::take_ports_match(std::uint8_t protocol, std::span<const std::uint16_t, 2> from, std::span<const std::uint16_t, 2> to,
                                  bool inverted) {
  rule_.matches.push_back({.field = Field::meta, .key = NFT_META_L4PROTO, .compare = Compare::equal, .mask = {0xff}, .value = {protocol}});
  if (inverted || from[0] != 0 || from[1] != 0xffff) add_opaque();
  if (to[0] == 0 && to[1] == 0xffff) return;
  for (const auto& [compare, port] : {std::pair{Compare::greater_or_equal, to[0]}, std::pair{Compare::less_or_equal, to[1]}})
    rule_.matches.push_back({.field = Field::transport_header,
                             .key = 2,
                             .compare = compare,
                             .mask = {0xff, 0xff},
                             .value = {static_cast<std::uint8_t>(port >> 8), static_cast<std::uint8_t>(port)}});
}

void RuleParser::take_match() {
  rule_.from_iptables = true;
  const std::string_view name = text(NFTNL_EXPR_MT_NAME);
  const ByteSpan bytes = bytes_of_attribute(*expression_, NFTNL_EXPR_MT_INFO);
  const std::uint32_t revision = number(NFTNL_EXPR_MT_REV);
  if (name == "comment") {
    const auto* first = reinterpret_cast<const char*>(bytes.data());
    rule_.comment = printable({first, strnlen(first, bytes.size())});
  } else if (name == "conntrack" && (revision == 2 || revision == 3)) {
    take_conntrack_match(bytes);
  } else if (name == "tcp") {
    const auto info = info_in<xt_tcp>(bytes);
    take_ports_match(static_cast<std::uint8_t>(Protocol::tcp), info.spts, info.dpts,
                     info.invflags != 0 || info.option != 0 || info.flg_mask != 0);
  } else if (name == "udp") {
    const auto info = info_in<xt_udp>(bytes);
    take_ports_match(static_cast<std::uint8_t>(Protocol::udp), info.spts, info.dpts, info.invflags != 0);
  } else {
    add_opaque();
    constexpr std::uint32_t ipv4_source = 12;
    if (is_by_source(name)) say_about(Field::network_header, ipv4_source);
  }
}

void RuleParser::take_target() {
  rule_.from_iptables = true;
  const std::string_view name = text(NFTNL_EXPR_TG_NAME);
  const ByteSpan bytes = bytes_of_attribute(*expression_, NFTNL_EXPR_TG_INFO);
  constexpr std::array quiet{"LOG",   "NFLOG", "MARK", "CONNMARK", "TCPMSS",   "DSCP",  "TOS",     "SET", "CLASSIFY",
                             "AUDIT", "TTL",   "HL",   "SECMARK",  "CHECKSUM", "TRACE", "RATEEST", "LED", "CONNSECMARK"};
  if (name == "REJECT") return set_action(RuleAction::reject);
  if (name == "REDIRECT") return set_action(RuleAction::redirect);
  if (name == "MASQUERADE" || name == "SNAT" || name == "NETMAP") return set_action(RuleAction::snat);
  if (name == "NFQUEUE") return set_action(RuleAction::queue);
  if (name == "NOTRACK") return set_action(RuleAction::notrack);
  if (name == "CT") {
    const auto info = info_in<xt_ct_target_info>(bytes.first(std::min(bytes.size(), offsetof(xt_ct_target_info, ct))));
    if ((info.flags & XT_CT_NOTRACK) != 0) set_action(RuleAction::notrack);
    return;
  }
  if (name != "DNAT") return std::ranges::find(quiet, name) == quiet.end() ? set_action(RuleAction::other) : void();
  set_action(RuleAction::dnat);
  const auto info = info_in<nf_nat_range2>(bytes);
  if (number(NFTNL_EXPR_TG_REV) != 2 || (info.flags & NF_NAT_RANGE_MAP_IPS) == 0) return;
  // Whether the address is of IPv4 or IPv6 is the table's matter; one of IPv4 leaves the rest zero.
  const bool v4 = info.min_addr.ip6[1] == 0 && info.min_addr.ip6[2] == 0 && info.min_addr.ip6[3] == 0;
  const auto* address = reinterpret_cast<const std::uint8_t*>(&info.min_addr);
  rule_.to = Endpoint{.address = Address::from_bytes({address, v4 ? 4U : 16U}), .port = 0};
  const auto* port = reinterpret_cast<const std::uint8_t*>(&info.min_proto);
  if ((info.flags & NF_NAT_RANGE_PROTO_SPECIFIED) != 0) rule_.to->port = static_cast<std::uint16_t>(port[0] << 8 | port[1]);
}

/// Expressions that fill a register. False: another expression.
bool RuleParser::take_load(std::string_view name) {
  Held held{.kind = Held::Kind::field};
  std::uint32_t destination = 0;
  if (name == "payload") {
    if (!has(NFTNL_EXPR_PAYLOAD_DREG)) return true; // changes the packet
    destination = number(NFTNL_EXPR_PAYLOAD_DREG);
    const std::uint32_t base = number(NFTNL_EXPR_PAYLOAD_BASE);
    held.field.key = number(NFTNL_EXPR_PAYLOAD_OFFSET);
    held.field.field = base == NFT_PAYLOAD_NETWORK_HEADER     ? Field::network_header
                       : base == NFT_PAYLOAD_TRANSPORT_HEADER ? Field::transport_header
                                                              : Field::opaque;
  } else if (name == "meta") {
    if (!has(NFTNL_EXPR_META_DREG)) return true; // changes the packet
    destination = number(NFTNL_EXPR_META_DREG);
    held.field.field = Field::meta;
    held.field.key = number(NFTNL_EXPR_META_KEY);
  } else if (name == "ct") {
    if (!has(NFTNL_EXPR_CT_DREG)) return true; // changes the flow
    destination = number(NFTNL_EXPR_CT_DREG);
    held.field.field = Field::conntrack;
    held.field.key = number(NFTNL_EXPR_CT_KEY);
    if (has(NFTNL_EXPR_CT_DIR)) held.field.direction = nftnl_expr_get_u8(expression_, NFTNL_EXPR_CT_DIR);
  } else {
    return false;
  }
  if (held.field.field == Field::opaque) held.kind = Held::Kind::unknown;
  registers_[slot_of(destination)] = held;
  return true;
}

bool RuleParser::take_condition(std::string_view name) {
  if (name == "cmp")
    take_cmp();
  else if (name == "range")
    take_range();
  else if (name == "lookup")
    take_lookup();
  else if (name == "bitwise")
    take_bitwise();
  else if (name == "match")
    take_match();
  else
    return false;
  return true;
}

void RuleParser::take(nftnl_expr& expression) {
  expression_ = &expression;
  const std::string_view name = nftnl_expr_get_str(&expression, NFTNL_EXPR_NAME);
  if (take_load(name) || take_condition(name)) return;
  if (name == "immediate") return take_immediate();
  if (name == "nat") return take_nat();
  if (name == "target") return take_target();
  if (name == "counter" || name == "log" || name == "last") return;
  if (name == "redir") return set_action(RuleAction::redirect);
  if (name == "masq") return set_action(RuleAction::snat);
  if (name == "reject") return set_action(RuleAction::reject);
  if (name == "notrack") return set_action(RuleAction::notrack);
  if (name == "queue") return set_action(RuleAction::queue);
  if (name == "flow_offload") return set_action(RuleAction::offload);
  if (name == "tproxy" || name == "synproxy" || name == "fwd") return set_action(RuleAction::other);
  // It loads a register with what is not known, or is a condition such as a limit.
  registers_.clear();
  add_opaque();
}

} // namespace

ForeignRule parse_rule(const nftnl_rule& rule) {
  RuleParser parser;
  std::uint32_t length = 0;
  const void* data = nftnl_rule_get_data(&rule, NFTNL_RULE_USERDATA, &length);
  parser.rule().handle = nftnl_rule_get_u64(&rule, NFTNL_RULE_HANDLE);
  parser.rule().comment = printable(comment_in(data, length));
  nftnl_expr_foreach(
      const_cast<nftnl_rule*>(&rule), // only read by libnftnl
      [](nftnl_expr* expression, void* out) {
        static_cast<RuleParser*>(out)->take(*expression);
        return 0;
      },
      &parser);
  return parser.finish();
}

} // namespace hanat::nat
