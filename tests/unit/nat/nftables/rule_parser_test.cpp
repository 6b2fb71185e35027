// What is read of rules: those that RuleWriter writes, and matches and targets of iptables byte by byte. Not here: rules that nft and
// iptables have loaded (namespace tests).
#include "nat/nftables/rule_parser.hpp"

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/xt_CT.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_tcpudp.h>

#include "nat/nftables/rule_writer.hpp"

namespace hanat::nat {
namespace {

RuleWriter foreign_writer(const std::string& comment = "c") { return RuleWriter{"filter", "FORWARD", comment}; }

RulePtr with_extension(const char* expression, const char* name, std::uint32_t revision, std::vector<std::uint8_t> info) {
  RulePtr rule = foreign_writer("").take();
  nftnl_expr* added = nftnl_expr_alloc(expression);
  const bool is_match = std::string{expression} == "match";
  nftnl_expr_set_str(added, is_match ? std::uint16_t{NFTNL_EXPR_MT_NAME} : std::uint16_t{NFTNL_EXPR_TG_NAME}, name);
  nftnl_expr_set_u32(added, is_match ? std::uint16_t{NFTNL_EXPR_MT_REV} : std::uint16_t{NFTNL_EXPR_TG_REV}, revision);
  // libnftnl frees it with the expression.
  auto* copy = static_cast<std::uint8_t*>(malloc(info.size())); // NOLINT(cppcoreguidelines-no-malloc)
  std::memcpy(copy, info.data(), info.size());
  nftnl_expr_set(added, is_match ? std::uint16_t{NFTNL_EXPR_MT_INFO} : std::uint16_t{NFTNL_EXPR_TG_INFO}, copy,
                 static_cast<std::uint32_t>(info.size()));
  nftnl_rule_add_expr(rule.get(), added);
  return rule;
}

template <typename Info> std::vector<std::uint8_t> bytes_of_info(const Info& info) {
  std::vector<std::uint8_t> bytes(sizeof info);
  std::memcpy(bytes.data(), &info, sizeof info);
  return bytes;
}

TEST(RuleParser, VerdictsAndComments) {
  const auto action = [](RuleWriter&& writer) { return parse_rule(*writer.take()).action; };
  EXPECT_EQ(action(std::move(foreign_writer().verdict(NF_DROP))), RuleAction::drop);
  EXPECT_EQ(action(std::move(foreign_writer().verdict(NF_ACCEPT))), RuleAction::accept);
  EXPECT_EQ(action(std::move(foreign_writer().verdict(NFT_RETURN))), RuleAction::back);
  EXPECT_EQ(action(std::move(foreign_writer().reject_with_tcp_reset())), RuleAction::reject);
  EXPECT_EQ(action(std::move(foreign_writer().notrack())), RuleAction::notrack);
  EXPECT_EQ(action(std::move(foreign_writer().in_verdict_map("m"))), RuleAction::verdict_map);
  EXPECT_EQ(action(std::move(foreign_writer().from_map("m").dnat(Family::ipv4))), RuleAction::dnat);
  EXPECT_EQ(action(std::move(foreign_writer().masquerade(1, 2))), RuleAction::snat);
  EXPECT_EQ(action(std::move(foreign_writer().limit(5))), RuleAction::none);
  const ForeignRule jump = parse_rule(*foreign_writer("no guests").verdict(NFT_JUMP, "deny").take());
  EXPECT_EQ(jump.action, RuleAction::jump);
  EXPECT_EQ(jump.target, "deny");
  EXPECT_EQ(jump.comment, "no guests");
  EXPECT_FALSE(jump.from_iptables);
}

TEST(RuleParser, ConditionsOfNft) {
  const ForeignRule rule =
      parse_rule(*foreign_writer().only_tcp().dport_between(80, 90).ct_state(8).in_set("s").limit(5).verdict(NF_DROP).take());
  ASSERT_EQ(rule.matches.size(), 6U);
  const Condition protocol{.field = Condition::Field::meta, .key = NFT_META_L4PROTO, .mask = {0xff}, .value = {6}};
  EXPECT_EQ(rule.matches[0], protocol);
  const Condition from{.field = Condition::Field::transport_header,
                       .key = 2,
                       .compare = Condition::Compare::greater_or_equal,
                       .mask = {0xff, 0xff},
                       .value = {0, 80}};
  EXPECT_EQ(rule.matches[1], from);
  const Condition state{.field = Condition::Field::conntrack,
                        .key = NFT_CT_STATE,
                        .compare = Condition::Compare::not_equal,
                        .mask = {8, 0, 0, 0},
                        .value = {0, 0, 0, 0}};
  EXPECT_EQ(rule.matches[3], state);
  EXPECT_EQ(rule.matches[4], (Condition{.key = NFT_CT_STATE, .about = Condition::Field::conntrack})) << "a set is not read";
  EXPECT_EQ(rule.matches[5], Condition{}) << "a limit";
}

TEST(RuleParser, MatchesOfIptables) {
  std::vector<std::uint8_t> text(256);
  std::memcpy(text.data(), "hello\nworld", 11);
  EXPECT_EQ(parse_rule(*with_extension("match", "comment", 0, text)).comment, "hello?world");
  EXPECT_TRUE(parse_rule(*with_extension("match", "comment", 0, text)).from_iptables);
  EXPECT_EQ(parse_rule(*with_extension("match", "addrtype", 1, {1, 2})).matches, std::vector{Condition{}});
  xt_conntrack_mtinfo3 info{};
  info.match_flags = XT_CONNTRACK_STATE;
  info.state_mask = XT_CONNTRACK_STATE_DNAT;
  const ForeignRule dnat = parse_rule(*with_extension("match", "conntrack", 3, bytes_of_info(info)));
  ASSERT_EQ(dnat.matches.size(), 1U);
  EXPECT_EQ(dnat.matches[0].field, Condition::Field::iptables_state);
  info.match_flags |= XT_CONNTRACK_ORIGDST;
  EXPECT_EQ(parse_rule(*with_extension("match", "conntrack", 3, bytes_of_info(info))).matches.size(), 2U);
  xt_tcp tcp{};
  tcp.spts[1] = 0xffff;
  tcp.dpts[0] = tcp.dpts[1] = 443;
  EXPECT_EQ(parse_rule(*with_extension("match", "tcp", 0, bytes_of_info(tcp))).matches.size(), 3U);
}

TEST(RuleParser, TargetsOfIptables) {
  EXPECT_EQ(parse_rule(*with_extension("target", "REJECT", 0, {0, 0, 0, 0})).action, RuleAction::reject);
  EXPECT_EQ(parse_rule(*with_extension("target", "LOG", 0, {0})).action, RuleAction::none);
  EXPECT_EQ(parse_rule(*with_extension("target", "TPROXY", 1, {0})).action, RuleAction::other);
  xt_ct_target_info ct{};
  ct.flags = XT_CT_NOTRACK;
  EXPECT_EQ(parse_rule(*with_extension("target", "CT", 2, bytes_of_info(ct))).action, RuleAction::notrack);
  nf_nat_range2 range{};
  range.flags = NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED;
  const std::array<std::uint8_t, 4> address{10, 0, 0, 9};
  std::memcpy(&range.min_addr, address.data(), 4);
  const std::array<std::uint8_t, 2> port{0, 80};
  std::memcpy(&range.min_proto, port.data(), 2);
  const ForeignRule dnat = parse_rule(*with_extension("target", "DNAT", 2, bytes_of_info(range)));
  EXPECT_EQ(dnat.action, RuleAction::dnat);
  EXPECT_EQ(dnat.to, (Endpoint{Address::parse("10.0.0.9").value(), 80}));
  EXPECT_EQ(parse_rule(*with_extension("target", "DNAT", 2, {1})).action, RuleAction::dnat) << "too short";
}

} // namespace
} // namespace hanat::nat
