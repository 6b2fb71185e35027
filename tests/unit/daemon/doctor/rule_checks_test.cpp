// Conditions and static checks by hand-made rules; text of a saved ruleset. Not here: rules of nft and iptables (namespace tests).
#include "daemon/doctor/rule_checks.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <linux/netfilter/nf_tables.h>

#include "daemon/doctor/rule_match.hpp"
#include "tests/unit/daemon/doctor/trace_kit.hpp"

namespace hanat {
namespace {

using nat::Condition;
using nat::Hook;
using nat::RuleAction;
using nat::TableFamily;
using testing::HasSubstr;
using Field = Condition::Field;
using Compare = Condition::Compare;

const PacketModel forwarded{.protocol = Protocol::tcp, .to = traced_server, .vip = traced_web.address, .oif = "eth1"};
const PacketModel arriving{.protocol = Protocol::tcp, .to = {traced_web.address, traced_web.port}, .oif = {}};

Condition destination(std::vector<std::uint8_t> address, Compare compare = Compare::equal) {
  return {.field = Field::network_header,
          .key = 16,
          .compare = compare,
          .mask = std::vector<std::uint8_t>(address.size(), 0xff),
          .value = address};
}
Condition port(Compare compare, std::uint16_t number) {
  return {.field = Field::transport_header,
          .key = 2,
          .compare = compare,
          .mask = {0xff, 0xff},
          .value = {static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)}};
}
Condition state(std::uint8_t bits) {
  return {.field = Field::conntrack, .key = NFT_CT_STATE, .compare = Compare::not_equal, .mask = {bits, 0, 0, 0}, .value = {0, 0, 0, 0}};
}
Condition status(std::uint8_t bits) {
  return {.field = Field::conntrack, .key = NFT_CT_STATUS, .compare = Compare::not_equal, .mask = {bits, 0, 0, 0}, .value = {0, 0, 0, 0}};
}
Condition interface(std::uint32_t key, const std::string& name, Compare compare = Compare::equal) {
  std::vector<std::uint8_t> value(16);
  std::ranges::copy(name, value.begin());
  return {.field = Field::meta, .key = key, .compare = compare, .mask = std::vector<std::uint8_t>(16, 0xff), .value = value};
}
Condition iptables_state(std::uint16_t mask) {
  return {.field = Field::iptables_state, .mask = {static_cast<std::uint8_t>(mask), static_cast<std::uint8_t>(mask >> 8)}};
}

TEST(RuleMatch, HeadersOfTheDestination) {
  EXPECT_EQ(match(destination({10, 0, 0, 11}), forwarded), Matches::yes);
  EXPECT_EQ(match(destination({10, 0, 0}), forwarded), Matches::yes) << "a prefix";
  EXPECT_EQ(match(destination({10, 0, 0, 12}), forwarded), Matches::no);
  EXPECT_EQ(match(destination({10, 0, 0, 12}, Compare::not_equal), forwarded), Matches::yes);
  Condition with_source = destination({198, 18, 0, 7, 10, 0, 0, 11});
  with_source.key = 12;
  EXPECT_EQ(match(with_source, forwarded), Matches::maybe) << "the source is anybody's";
  EXPECT_EQ(match(port(Compare::equal, 8443), forwarded), Matches::yes);
  EXPECT_EQ(match(port(Compare::greater_or_equal, 9000), forwarded), Matches::no);
  EXPECT_EQ(match(port(Compare::less, 9000), forwarded), Matches::yes);
  PacketModel any_port = forwarded;
  any_port.to.port = 0;
  EXPECT_EQ(match(port(Compare::equal, 22), any_port), Matches::maybe);
}

TEST(RuleMatch, StatesOfConntrack) {
  EXPECT_EQ(match(state(8), forwarded), Matches::yes) << "new";
  EXPECT_EQ(match(state(2 | 4), forwarded), Matches::no) << "established, related";
  EXPECT_EQ(match(status(0x20), forwarded), Matches::yes) << "dnat";
  EXPECT_EQ(match(status(0x20), arriving), Matches::no);
  EXPECT_EQ(match(iptables_state(1 << 7), forwarded), Matches::yes) << "DNAT";
  EXPECT_EQ(match(iptables_state(1 << 7), arriving), Matches::no);
  EXPECT_EQ(match(iptables_state(2 | 4), forwarded), Matches::no);
  EXPECT_EQ(match(iptables_state(8), forwarded), Matches::yes);
}

TEST(RuleMatch, Interfaces) {
  EXPECT_EQ(match(interface(NFT_META_OIFNAME, "eth1"), forwarded), Matches::yes);
  EXPECT_EQ(match(interface(NFT_META_OIFNAME, "eth2"), forwarded), Matches::no);
  EXPECT_EQ(match(interface(NFT_META_OIFNAME, "eth2"), arriving), Matches::maybe) << "before routing";
  EXPECT_EQ(match(interface(NFT_META_IIFNAME, "eth0"), forwarded), Matches::maybe);
  EXPECT_EQ(match(interface(NFT_META_IIFNAME, "docker0"), forwarded), Matches::no) << "clients do not come from containers";
  EXPECT_EQ(match(interface(NFT_META_IIFNAME, "docker0", Compare::not_equal), forwarded), Matches::yes);
}

TEST(RuleMatch, TheInterfaceAtTheClientsEnd) {
  nat::ForeignRule rule;
  rule.matches = {interface(NFT_META_IIFNAME, "eth1")};
  EXPECT_TRUE(asks_for_interface(rule, false));
  EXPECT_FALSE(asks_for_interface(rule, true)) << "replies of servers come in by it, whoever the client is";
  rule.matches = {interface(NFT_META_OIFNAME, "eth0")};
  EXPECT_FALSE(asks_for_interface(rule, false));
  EXPECT_TRUE(asks_for_interface(rule, true));
}

class CheckingRules : public testing::Test {
protected:
  nat::ForeignRule rule(RuleAction action, std::vector<Condition> matches, const std::string& target = {}) {
    ++handle;
    nat::ForeignRule made = foreign_rule(handle, handle, action, target);
    made.matches = std::move(matches);
    return made;
  }
  std::vector<Finding> found() const {
    return check_rules(ruleset, {{.name = "web", .listen = {traced_web}, .servers = {traced_server}, .interfaces = {"eth1"}}}, "hanat");
  }
  nat::ForeignChain& chain(const char* table, const char* name, nat::ForeignChain made) {
    return ruleset.chains[{TableFamily::inet, table, name}] = std::move(made);
  }
  nat::ForeignRuleset ruleset;
  std::uint32_t handle = 0;
};

TEST_F(CheckingRules, APolicyThatNothingSoftens) {
  auto& forward = chain("fw", "forward", base_chain("filter", Hook::forward, 0, true));
  forward.rules = {rule(RuleAction::accept, {state(2 | 4)}), rule(RuleAction::drop, {{}})};
  ASSERT_EQ(found().size(), 1U);
  EXPECT_EQ(found().front().code, "forward-drop");
  EXPECT_EQ(found().front().severity, Severity::warning);
  EXPECT_EQ(found().front().service, "web");
  EXPECT_EQ(
      found().front().remedy,
      "nft insert rule inet fw forward ct status dnat ct original ip daddr 203.0.113.10 meta l4proto tcp ct original proto-dst 443 accept");
  forward.rules.push_back(rule(RuleAction::accept, {{}})); // a condition that cannot be read
  EXPECT_TRUE(found().empty());
}

TEST_F(CheckingRules, JumpsAreFollowed) {
  auto& forward = chain("fw", "forward", base_chain("filter", Hook::forward, 0, true));
  forward.rules = {rule(RuleAction::jump, {}, "servers"), rule(RuleAction::verdict_map, {port(Compare::equal, 22)})};
  chain("fw", "servers", {.was_read = true}).rules = {rule(RuleAction::back, {destination({10, 0, 1})}),
                                                      rule(RuleAction::accept, {destination({10, 0, 0})})};
  EXPECT_TRUE(found().empty());
  ruleset.chains[{TableFamily::inet, "fw", "servers"}].rules.pop_back();
  EXPECT_EQ(found().size(), 1U);
  ruleset.chains.erase({TableFamily::inet, "fw", "servers"});
  EXPECT_TRUE(found().empty()) << "a chain that was not read may accept";
}

TEST_F(CheckingRules, ADropThatIsCertain) {
  auto& forward = chain("fw", "forward", base_chain("filter", Hook::forward, 0));
  forward.rules = {rule(RuleAction::drop, {{}}), rule(RuleAction::drop, {destination({10, 0, 0}), port(Compare::greater, 1024)})};
  ASSERT_EQ(found().size(), 1U);
  EXPECT_THAT(found().front().what, HasSubstr("inet fw forward rule 2 (handle 2) drops packets to 10.0.0.11:8443"));
  forward.rules.pop_back();
  EXPECT_TRUE(found().empty()) << "a condition that cannot be read may be of others";
}

TEST_F(CheckingRules, ServersThatAreToTakeOver) {
  auto& forward = chain("fw", "forward", base_chain("filter", Hook::forward, 0));
  forward.rules = {rule(RuleAction::drop, {destination({10, 0, 0, 12})})};
  const CheckedService service{.name = "web",
                               .listen = {traced_web},
                               .servers = {traced_server},
                               .interfaces = {},
                               .others = {{"backup", traced_web, {*Address::parse("10.0.0.12"), 8443}}}};
  auto all = check_rules(ruleset, {service}, "hanat");
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all.front().what, "inet fw forward rule 1 (handle 1) drops packets to backup 10.0.0.12:8443");
  EXPECT_EQ(all.front().severity, Severity::warning);
  forward.rules = {rule(RuleAction::drop, {})};
  all = check_rules(ruleset, {service}, "hanat");
  ASSERT_EQ(all.size(), 1U) << "what drops the target is told once";
  EXPECT_THAT(all.front().what, HasSubstr("drops packets to 10.0.0.11:8443"));
}

TEST_F(CheckingRules, EarlierNatChains) {
  auto& early = chain("fw", "early", base_chain("nat", Hook::prerouting, -105));
  early.rules = {rule(RuleAction::dnat, {port(Compare::equal, 80)}), rule(RuleAction::redirect, {{}}),
                 rule(RuleAction::redirect, {port(Compare::equal, 443), {}})};
  ASSERT_EQ(found().size(), 1U);
  EXPECT_EQ(
      found().front().what,
      "inet fw early rule 3 (handle 3) translates packets to 203.0.113.10:443/tcp (some clients') to the gateway itself before hanat does");
  ruleset.chains.begin()->second.base->priority = -100;
  EXPECT_TRUE(found().empty());
}

TEST_F(CheckingRules, HanatsOwnTablesAreNotLookedAt) {
  chain("hanat", "forward", base_chain("filter", Hook::forward, 0, true));
  chain("hanat_trace", "forward", base_chain("filter", Hook::forward, 0, true));
  EXPECT_TRUE(found().empty());
}

TEST_F(CheckingRules, WhatManyServicesShareIsOneFinding) {
  chain("fw", "forward", base_chain("filter", Hook::forward, 0, true));
  std::vector<CheckedService> services;
  for (const char* name : {"a", "b", "c", "d", "e"})
    services.push_back({.name = name, .listen = {traced_web}, .servers = {traced_server}, .interfaces = {}});
  const auto together = check_rules(ruleset, services, "hanat");
  ASSERT_EQ(together.size(), 1U);
  EXPECT_EQ(together.front().service, "");
  EXPECT_THAT(together.front().what, HasSubstr("(services a, b, c and 2 more)"));
}

TEST_F(CheckingRules, FlowtablesOfTheWay) {
  ruleset.flowtables = {{.family = TableFamily::inet, .table = "fast", .name = "ft", .devices = {"eth0", "eth1"}},
                        {.family = TableFamily::inet, .table = "fast", .name = "elsewhere", .devices = {"eth7"}}};
  ASSERT_EQ(found().size(), 1U);
  EXPECT_EQ(found().front().severity, Severity::note);
  EXPECT_THAT(found().front().what, HasSubstr("flowtable inet fast ft (eth0, eth1)"));
}

TEST_F(CheckingRules, RulesOfIptablesLegacyAreSaidToBeUnread) {
  ruleset.legacy_tables = {"ip filter", "ip6 raw"};
  ASSERT_EQ(found().size(), 1U);
  EXPECT_EQ(found().front().code, "iptables-legacy");
  EXPECT_EQ(found().front().severity, Severity::warning);
  EXPECT_EQ(found().front().service, "");
  EXPECT_THAT(found().front().what, HasSubstr("iptables-legacy has rules (ip filter, ip6 raw) that hanatd can neither read nor trace"));
  EXPECT_EQ(found().front().remedy, "iptables-legacy -t filter -S; ip6tables-legacy -t raw -S");
}

TEST(SavedRuleset, CopiesOfTheTableAndFlushes) {
  const auto codes = [](const std::string& text, bool at_boot) {
    std::string all;
    for (const Finding& one : check_saved_ruleset(text, at_boot, "/etc/nftables.conf", "hanat")) all += one.code + " ";
    return all;
  };
  EXPECT_EQ(codes("#!/usr/sbin/nft -f\n# flush ruleset\ntable inet filter {\n}\n", true), "");
  EXPECT_EQ(codes("flush ruleset\n", false), "");
  EXPECT_EQ(codes("flush ruleset\n", true), "flush-ruleset ");
  EXPECT_EQ(codes("table inet hanat {\n", false), "saved-table ");
  EXPECT_EQ(codes("table inet hanat2 {\n", true), "");
}

} // namespace
} // namespace hanat
