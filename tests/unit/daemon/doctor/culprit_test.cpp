// The culprit of packets whose reports are written by hand. Not here: reports of the kernel (namespace tests).
#include "daemon/doctor/culprit.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <linux/netfilter/nf_tables.h>

#include "tests/unit/daemon/doctor/trace_kit.hpp"

namespace hanat {
namespace {

using nat::Hook;
using nat::RuleAction;
using nat::TableFamily;
using nat::TraceVerdict;
using testing::HasSubstr;

class CulpritOf : public testing::Test {
protected:
  CulpritOf() {
    ruleset.chains[{TableFamily::inet, "hanat", "dnat_prerouting"}] = base_chain("nat", Hook::prerouting, -105);
    ruleset.chains[filter_forward] = base_chain("filter", Hook::forward, 0, true);
  }
  std::optional<Finding> of(const std::vector<TracedPacket>& packets) const { return culprit_of(packets, ruleset, trace_context()); }
  static Story translated() {
    return Story::request().dnat(traced_server).reaches(nat::trace_to_routing).by("eth1").reaches(nat::trace_forwards);
  }
  static Story arrived() { return translated().reaches(nat::trace_forwarded).reaches(nat::trace_leaves); }

  const nat::ChainName filter_forward{TableFamily::ip, "filter", "FORWARD"};
  nat::ForeignRuleset ruleset;
};

TEST_F(CulpritOf, APolicyOfIptables) {
  const auto found = of({translated().at(TableFamily::ip, "filter", "FORWARD").policy(TraceVerdict::drop)});
  ASSERT_TRUE(found);
  EXPECT_EQ(
      *found,
      (Finding{.severity = Severity::problem,
               .code = "forward-drop",
               .service = "web",
               .what = "dropped by ip filter FORWARD, policy drop",
               .remedy = "iptables -I FORWARD -p tcp -m conntrack --ctstate DNAT --ctorigdst 203.0.113.10 --ctorigdstport 443 -j ACCEPT",
               .seen_by = "client 198.18.0.7 by eth0",
               .witness = Witness::real_client}));
}

TEST_F(CulpritOf, ARuleWithItsPositionAndComment) {
  ruleset.chains[filter_forward].rules = {foreign_rule(4, 1, RuleAction::accept), foreign_rule(9, 2, RuleAction::reject)};
  ruleset.chains[filter_forward].rules[1].comment = "no guests";
  const auto found = of({translated().at(TableFamily::ip, "filter", "FORWARD").rule(9, TraceVerdict::drop)});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->what, "rejected by ip filter FORWARD rule 2 \"no guests\"");
}

nat::Condition from_net(const char* net) {
  const auto address = Address::parse(net).value();
  return {.field = nat::Condition::Field::network_header,
          .key = 12,
          .mask = {0xff, 0xff, 0xff, 0},
          .value = {address.bytes().begin(), address.bytes().end()}};
}

TEST_F(CulpritOf, ARuleThatAsksForTheClientsAddressIsAboutThisClient) {
  auto& rules = ruleset.chains[filter_forward].rules;
  rules = {foreign_rule(4, 1, RuleAction::drop)};
  const auto met = [&] { return of({translated().at(TableFamily::ip, "filter", "FORWARD").rule(4, TraceVerdict::drop)}).value(); };
  EXPECT_FALSE(met().client_only);
  rules[0].matches = {from_net("198.18.0.0")};
  EXPECT_TRUE(met().client_only);
  EXPECT_EQ(met().severity, Severity::warning);
  EXPECT_EQ(met().remedy, "iptables -t filter -L FORWARD -n -v --line-numbers") << "an accept would let in all that are blocked";
  rules[0].matches = {nat::Condition{.about = nat::Condition::Field::network_header}};
  rules[0].matches[0].key = 12;
  EXPECT_TRUE(met().client_only) << "a set of addresses";
}

TEST_F(CulpritOf, APolicyBehindRulesThatAcceptOtherClientsIsAboutThisClient) {
  auto& rules = ruleset.chains[filter_forward].rules;
  rules = {foreign_rule(4, 1, RuleAction::accept)};
  rules[0].matches = {from_net("192.0.2.0")};
  const auto met = [&] { return of({translated().at(TableFamily::ip, "filter", "FORWARD").policy(TraceVerdict::drop)}).value(); };
  EXPECT_TRUE(met().client_only);
  nat::Condition ssh{.field = nat::Condition::Field::transport_header, .key = 2, .mask = {0xff, 0xff}, .value = {0, 22}};
  rules[0].matches.push_back(ssh);
  EXPECT_FALSE(met().client_only) << "that rule is about something else";
  EXPECT_EQ(met().severity, Severity::problem);
}

TEST_F(CulpritOf, RulesThatNameInterfacesAreAWarningOfHanatdsOwnClientOnly) {
  auto& rules = ruleset.chains[filter_forward].rules;
  rules = {foreign_rule(4, 1, RuleAction::accept)};
  nat::Condition lan{.field = nat::Condition::Field::meta, .key = NFT_META_IIFNAME, .mask = {0xff, 0xff, 0xff}, .value = {'l', 'a', 'n'}};
  rules[0].matches = {lan};
  TraceContext context = trace_context();
  const auto met = [&] {
    return culprit_of({translated().at(TableFamily::ip, "filter", "FORWARD").policy(TraceVerdict::drop)}, ruleset, context).value();
  };
  EXPECT_EQ(met().severity, Severity::problem) << "a real client";
  context.own_client = true;
  EXPECT_EQ(met().severity, Severity::warning);
  EXPECT_EQ(met().witness, Witness::own_client);
  rules.clear();
  EXPECT_EQ(met().severity, Severity::problem);
}

TEST_F(CulpritOf, ARuleThatIsGoneIsNamedByItsHandle) {
  const auto found = of({translated().at(TableFamily::ip, "filter", "FORWARD").rule(9, TraceVerdict::drop)});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->what, "dropped by ip filter FORWARD rule with handle 9");
}

TEST_F(CulpritOf, WhoseChainsWereMetDecidesTheRemedy) {
  const auto remedy = [&](const char* target) {
    return of({translated().at(TableFamily::ip, "filter", "FORWARD").rule(2, TraceVerdict::jump, target).rule(3, TraceVerdict::drop)})
        .value()
        .remedy;
  };
  EXPECT_EQ(remedy("ufw-before-forward"), "ufw route allow proto tcp to 10.0.0.11 port 8443");
  EXPECT_EQ(remedy("DOCKER-USER"),
            "iptables -I DOCKER-USER -p tcp -m conntrack --ctstate DNAT --ctorigdst 203.0.113.10 --ctorigdstport 443 -j ACCEPT");
  ruleset.chains[{TableFamily::inet, "firewalld", "filter_FORWARD"}] = base_chain("filter", Hook::forward, 10);
  const auto found = of({translated().at(TableFamily::inet, "firewalld", "filter_FORWARD").rule(3, TraceVerdict::drop)});
  ASSERT_TRUE(found);
  EXPECT_THAT(found->remedy, HasSubstr("firewall-cmd --permanent --policy=hanat"));
}

TEST_F(CulpritOf, BeforeTranslationTheRemedyNamesTheVirtualEndpoint) {
  ruleset.chains[{TableFamily::inet, "fw", "early"}] = base_chain("filter", Hook::prerouting, -300);
  const auto found = of({Story::request().at(TableFamily::inet, "fw", "early").rule(3, TraceVerdict::drop)});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->code, "rule-drop");
  EXPECT_EQ(found->remedy, "nft insert rule inet fw early ip daddr 203.0.113.10 tcp dport 443 accept");
}

TEST_F(CulpritOf, AReplyIsToldApart) {
  ruleset.chains[{TableFamily::inet, "fw", "late"}] = base_chain("filter", Hook::postrouting, 0);
  const auto found = of({arrived(), Story::reply()
                                        .reaches(nat::trace_to_routing)
                                        .reaches(nat::trace_forwards)
                                        .reaches(nat::trace_forwarded)
                                        .at(TableFamily::inet, "fw", "late")
                                        .rule(3, TraceVerdict::drop)});
  ASSERT_TRUE(found);
  EXPECT_THAT(found->what, HasSubstr("the server's reply is dropped by inet fw late"));
  EXPECT_EQ(found->remedy, "nft insert rule inet fw late ip saddr 10.0.0.11 tcp sport 8443 accept");
  EXPECT_EQ(found->seen_by, "reply of 10.0.0.11:8443 by eth1");
}

TEST_F(CulpritOf, AnotherNatChainCameFirst) {
  const nat::ChainName docker{TableFamily::ip, "docker", "PREROUTING"};
  ruleset.chains[docker] = base_chain("nat", Hook::prerouting, -150);
  ruleset.chains[docker].rules = {foreign_rule(5, 3, RuleAction::dnat)};
  const Endpoint elsewhere{Address::parse("10.0.0.9").value(), 443};
  const auto found = of({Story::request()
                             .at(TableFamily::ip, "docker", "PREROUTING")
                             .rule(5, TraceVerdict::accept)
                             .now_to(elsewhere)
                             .reaches(nat::trace_to_routing)
                             .reaches(nat::trace_forwards)
                             .at(TableFamily::ip, "filter", "FORWARD")
                             .policy(TraceVerdict::drop)});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->code, "other-nat");
  EXPECT_EQ(found->what, "ip docker PREROUTING rule 3 (handle 5) translated it to 10.0.0.9:443 first")
      << "that it was dropped then is not the cause";
  EXPECT_EQ(found->remedy, "nft insert rule ip docker PREROUTING ip daddr 203.0.113.10 tcp dport 443 accept");
}

TEST_F(CulpritOf, AFlowThatWasTranslatedElsewhereBefore) {
  const auto found = of({Story::request().now_to({Address::parse("10.0.0.9").value(), 443}).reaches(nat::trace_to_routing)});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->code, "other-nat");
  EXPECT_THAT(found->what, HasSubstr("since an earlier packet of the flow"));
}

TEST_F(CulpritOf, AnotherChainThatTranslatesToTheSameServerIsFine) {
  ruleset.chains[{TableFamily::ip, "docker", "PREROUTING"}] = base_chain("nat", Hook::prerouting, -150);
  EXPECT_FALSE(of({Story::request()
                       .at(TableFamily::ip, "docker", "PREROUTING")
                       .rule(5, TraceVerdict::accept)
                       .now_to(traced_server)
                       .reaches(nat::trace_to_routing)
                       .reaches(nat::trace_forwards)
                       .reaches(nat::trace_forwarded)
                       .reaches(nat::trace_leaves)}));
}

TEST_F(CulpritOf, Notrack) {
  const nat::ChainName raw{TableFamily::ip, "raw", "PREROUTING"};
  ruleset.chains[raw] = base_chain("filter", Hook::prerouting, -300);
  ruleset.chains[raw].rules = {foreign_rule(5, 1, RuleAction::notrack)};
  const auto found =
      of({Story::request().at(TableFamily::ip, "raw", "PREROUTING").rule(5, TraceVerdict::next).reaches(nat::trace_to_routing)});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->code, "notrack");
  EXPECT_EQ(found->remedy, "iptables -t raw -I PREROUTING -d 203.0.113.10 -p tcp --dport 443 -j ACCEPT");
}

TEST_F(CulpritOf, WithoutARuleItIsUntranslatedOrLost) {
  EXPECT_EQ(of({Story::request().reaches(nat::trace_to_routing)})->code, "untranslated");
  const auto lost = of({Story::request().dnat(traced_server).reaches(nat::trace_to_routing)});
  ASSERT_TRUE(lost);
  EXPECT_EQ(lost->code, "not-forwarded");
  EXPECT_THAT(lost->what, HasSubstr("lost between prerouting and forward"));
  EXPECT_EQ(lost->remedy, "ip route get 10.0.0.11 from 198.18.0.7 iif eth0");
  EXPECT_THAT(of({translated()})->what, HasSubstr("lost in forward"));
  EXPECT_THAT(of({translated().reaches(nat::trace_forwarded)})->what, HasSubstr("lost between forward and postrouting"));
  EXPECT_THAT(of({Story::request()})->what, HasSubstr("lost in prerouting"));
}

TEST_F(CulpritOf, IptablesLegacyCannotBeTraced) {
  ruleset.legacy_tables = {"ip filter"};
  const auto found = of({translated()});
  ASSERT_TRUE(found);
  EXPECT_THAT(found->what, HasSubstr("iptables-legacy"));
  EXPECT_EQ(found->remedy, "iptables-legacy-save -c");
}

TEST_F(CulpritOf, HanatsOwnDropIsSaidToBeThat) {
  const auto found = of({Story::request().at(TableFamily::inet, "hanat", "dnat_prerouting").rule(5, TraceVerdict::drop)});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->code, "own-drop");
  EXPECT_EQ(found->remedy, "hanatctl status web");
}

TEST_F(CulpritOf, AProgramThatKeepsThePacket) {
  EXPECT_EQ(of({translated().at(TableFamily::ip, "filter", "FORWARD").rule(9, TraceVerdict::queue)})->code, "queued");
  EXPECT_FALSE(of({translated()
                       .at(TableFamily::ip, "filter", "FORWARD")
                       .rule(9, TraceVerdict::queue)
                       .reaches(nat::trace_forwarded)
                       .reaches(nat::trace_leaves)}));
}

TEST_F(CulpritOf, NobodyWhereEveryPacketArrives) {
  EXPECT_FALSE(of({}));
  EXPECT_FALSE(of({arrived()}));
  EXPECT_EQ(passage_of({arrived()}, "hanat"),
            (Passage{.request = Reached::left, .came_by = "eth0", .left_by = "eth1", .sent_to = traced_server}));
}

TEST_F(CulpritOf, TheNewestPacketThatDidNotArriveCounts) {
  EXPECT_TRUE(of({translated().at(TableFamily::ip, "filter", "FORWARD").policy(TraceVerdict::drop), arrived()}));
}

} // namespace
} // namespace hanat
