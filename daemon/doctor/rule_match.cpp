// Compares bytes, of which some are known.
#include "daemon/doctor/rule_match.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>
#include <vector>

#include <netinet/in.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/xt_conntrack.h>

namespace hanat {
namespace {

using nat::Condition;
using Field = Condition::Field;
using Compare = Condition::Compare;

/// Bytes of a field from an offset on, each known or not. A byte beyond them is unknown.
class FieldBytes {
public:
  void set(std::size_t at, std::span<const std::uint8_t> bytes, std::uint8_t known = 0xff) {
    for (std::size_t i = 0; i < bytes.size() && at + i < bytes_.size(); ++i) bytes_[at + i] = {bytes[i], known};
  }
  void set_number(std::uint32_t value, std::uint32_t known) {
    std::array<std::uint8_t, sizeof value> bytes{}, mask{};
    std::memcpy(bytes.data(), &value, sizeof value);
    std::memcpy(mask.data(), &known, sizeof known);
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes_[i] = {bytes[i], mask[i]};
  }
  std::uint8_t value(std::size_t at) const { return at < bytes_.size() ? bytes_[at].value : std::uint8_t{0}; }
  std::uint8_t known(std::size_t at) const { return at < bytes_.size() ? bytes_[at].known : std::uint8_t{0}; }

private:
  struct Byte {
    std::uint8_t value = 0, known = 0; // known: a mask of bits
  };
  std::array<Byte, 64> bytes_{};
};

constexpr std::uint32_t everything = 0xffffffff;
constexpr std::uint32_t state_of_new = 1U << (IP_CT_NEW + 1);
constexpr std::uint8_t syn_flag = 0x02;

void set_port(FieldBytes& bytes, std::size_t at, std::uint16_t port) {
  const std::array<std::uint8_t, 2> order{static_cast<std::uint8_t>(port >> 8), static_cast<std::uint8_t>(port)};
  if (port != 0) bytes.set(at, order);
}

Field field_of(const Condition& condition) { return condition.field == Field::opaque ? condition.about : condition.field; }

/// Where the fields of an IP header are. The rule itself may not say of which family it is: only the lengths differ.
struct IpOffsets {
  std::uint32_t protocol, source, destination;
};
constexpr IpOffsets ipv4_offsets{.protocol = 9, .source = 12, .destination = 16},
    ipv6_offsets{.protocol = 6, .source = 8, .destination = 24};
constexpr IpOffsets offsets_of(Family family) { return family == Family::ipv4 ? ipv4_offsets : ipv6_offsets; }

FieldBytes network_header(const PacketModel& packet) {
  FieldBytes bytes;
  const auto protocol = static_cast<std::uint8_t>(packet.protocol);
  const IpOffsets at = offsets_of(packet.to.address.family());
  bytes.set(at.protocol, {&protocol, 1});
  bytes.set(at.destination, packet.to.address.bytes());
  return bytes;
}

FieldBytes transport_header(const PacketModel& packet) {
  FieldBytes bytes;
  set_port(bytes, 2, packet.to.port);
  if (packet.protocol == Protocol::tcp) bytes.set(13, {&syn_flag, 1}, 0x3f); // not the flags of congestion control
  return bytes;
}

FieldBytes meta_field(const PacketModel& packet, std::uint32_t key) {
  FieldBytes bytes;
  const auto protocol = static_cast<std::uint8_t>(packet.protocol);
  const auto family = static_cast<std::uint8_t>(packet.to.address.family() == Family::ipv4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
  if (key == NFT_META_L4PROTO) bytes.set(0, {&protocol, 1});
  if (key == NFT_META_NFPROTO) bytes.set(0, {&family, 1});
  if (key == NFT_META_OIFNAME && packet.oif) {
    std::array<std::uint8_t, 16> name{};
    std::memcpy(name.data(), packet.oif->data(), std::min(packet.oif->size(), name.size() - 1));
    bytes.set(0, name);
  }
  return bytes;
}

FieldBytes conntrack_field(const PacketModel& packet, const Condition& condition) {
  FieldBytes bytes;
  const bool original = !condition.direction || *condition.direction == IP_CT_DIR_ORIGINAL;
  if (condition.key == NFT_CT_STATE) bytes.set_number(state_of_new, everything);
  if (condition.key == NFT_CT_DIRECTION) bytes.set_number(IP_CT_DIR_ORIGINAL, everything);
  if (condition.key == NFT_CT_STATUS)
    bytes.set_number(packet.vip ? IPS_DST_NAT : 0, IPS_DST_NAT | IPS_SEEN_REPLY | IPS_ASSURED | IPS_EXPECTED);
  const bool destination = condition.key == NFT_CT_DST || condition.key == NFT_CT_DST_IP || condition.key == NFT_CT_DST_IP6;
  if (destination && original) bytes.set(0, packet.vip.value_or(packet.to.address).bytes());
  return bytes;
}

/// Clients do not come by loopback, and hardly by a bridge of containers or virtual machines.
bool is_inside_name(std::string_view name) {
  constexpr std::array prefixes{"docker", "br-", "virbr", "veth", "cni", "podman", "lxc", "lxd"};
  return name == "lo" || std::ranges::any_of(prefixes, [&](std::string_view prefix) { return name.starts_with(prefix); });
}

std::string_view name_in(const Condition& condition) {
  const auto* text = reinterpret_cast<const char*>(condition.value.data());
  return {text, strnlen(text, condition.value.size())};
}

Matches negated(Matches matches) { return matches == Matches::yes ? Matches::no : matches == Matches::no ? Matches::yes : Matches::maybe; }

Matches equals(const FieldBytes& field, std::size_t offset, const Condition& condition) {
  bool all_known = true;
  for (std::size_t i = 0; i < condition.value.size(); ++i) {
    const std::uint8_t known = field.known(offset + i) & condition.mask[i];
    if (((field.value(offset + i) & condition.mask[i]) ^ condition.value[i]) & known) return Matches::no;
    all_known &= known == condition.mask[i];
  }
  return all_known ? Matches::yes : Matches::maybe;
}

Matches in_order(const FieldBytes& field, std::size_t offset, const Condition& condition) {
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i < condition.value.size(); ++i) {
    if (field.known(offset + i) != 0xff) return Matches::maybe;
    bytes.push_back(field.value(offset + i) & condition.mask[i]);
  }
  bool holds = false;
  switch (condition.compare) {
  case Compare::less: holds = bytes < condition.value; break;
  case Compare::less_or_equal: holds = bytes <= condition.value; break;
  case Compare::greater: holds = bytes > condition.value; break;
  case Compare::greater_or_equal: holds = bytes >= condition.value; break;
  case Compare::equal:
  case Compare::not_equal: break;
  }
  return holds ? Matches::yes : Matches::no;
}

Matches compare_field(const FieldBytes& field, std::size_t offset, const Condition& condition) {
  if (condition.mask.size() != condition.value.size() || condition.value.empty()) return Matches::maybe;
  switch (condition.compare) {
  case Compare::equal: return equals(field, offset, condition);
  case Compare::not_equal: return negated(equals(field, offset, condition));
  case Compare::less:
  case Compare::less_or_equal:
  case Compare::greater:
  case Compare::greater_or_equal: return in_order(field, offset, condition);
  }
  return Matches::maybe;
}

/// `--ctstate NEW,DNAT`: any of them.
Matches match_iptables_state(const Condition& condition, const PacketModel& packet) {
  const std::uint32_t mask = condition.mask.size() < 2 ? 0 : condition.mask[0] | std::uint32_t{condition.mask[1]} << 8;
  const bool holds = (mask & state_of_new) != 0 || (packet.vip && (mask & XT_CONNTRACK_STATE_DNAT) != 0);
  const Matches matches = holds ? Matches::yes : (mask & XT_CONNTRACK_STATE_SNAT) != 0 ? Matches::maybe : Matches::no;
  return condition.compare == Compare::not_equal ? negated(matches) : matches;
}

} // namespace

Matches match(const Condition& condition, const PacketModel& packet) {
  switch (condition.field) {
  case Field::opaque: return Matches::maybe;
  case Field::iptables_state: return match_iptables_state(condition, packet);
  case Field::network_header: return compare_field(network_header(packet), condition.key, condition);
  case Field::transport_header: return compare_field(transport_header(packet), condition.key, condition);
  case Field::conntrack: return compare_field(conntrack_field(packet, condition), 0, condition);
  case Field::meta: break;
  }
  if (condition.key == NFT_META_IIFNAME && is_inside_name(name_in(condition)))
    return condition.compare == Compare::equal ? Matches::no : Matches::yes;
  return compare_field(meta_field(packet, condition.key), 0, condition);
}

Matches match(const nat::ForeignRule& rule, const PacketModel& packet) {
  Matches all = Matches::yes;
  for (const Condition& condition : rule.matches) all = std::min(all, match(condition, packet));
  return all;
}

bool asks_for_client(const nat::ForeignRule& rule, bool reply) {
  return std::ranges::any_of(rule.matches, [reply](const Condition& condition) {
    if (field_of(condition) != Field::network_header) return false;
    const auto is = [&](std::uint32_t IpOffsets::*end) { return condition.key == ipv4_offsets.*end || condition.key == ipv6_offsets.*end; };
    return is(reply ? &IpOffsets::destination : &IpOffsets::source);
  });
}

bool may_ask_for_client(const nat::ForeignRule& rule, bool reply) {
  const auto is_unknown = [](const Condition& condition) { return field_of(condition) == Field::opaque; };
  // Of iptables a port may be opaque, too.
  return asks_for_client(rule, reply) || (!rule.from_iptables && std::ranges::any_of(rule.matches, is_unknown));
}

bool asks_for_interface(const nat::ForeignRule& rule, bool reply) {
  constexpr std::array in{NFT_META_IIFNAME, NFT_META_IIF, NFT_META_IIFGROUP, NFT_META_IIFKIND};
  constexpr std::array out{NFT_META_OIFNAME, NFT_META_OIF, NFT_META_OIFGROUP, NFT_META_OIFKIND};
  return std::ranges::any_of(rule.matches, [&](const Condition& condition) {
    return field_of(condition) == Field::meta && std::ranges::find(reply ? out : in, condition.key) != (reply ? out : in).end();
  });
}

bool names_destination(const nat::ForeignRule& rule, const PacketModel& packet) {
  return std::ranges::any_of(rule.matches, [&](const Condition& condition) {
    const std::size_t address = offsets_of(packet.to.address.family()).destination;
    const bool names = (condition.field == Field::network_header && condition.key + condition.value.size() > address) ||
                       (condition.field == Field::transport_header && condition.key <= 2 && condition.key + condition.value.size() > 2);
    return names && match(condition, packet) == Matches::yes;
  });
}

} // namespace hanat
