// Static checks of rulesets that nft and iptables have loaded. Not here: each kind of condition (unit tests), what packets meet
// (tracer_test).
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/doctor/rule_checks.hpp"
#include "tests/netns/daemon/doctor/rulesets.hpp"
#include "tests/netns/lab/lab.hpp"

namespace hanat::test {
namespace {

using testing::HasSubstr;

struct CheckCase {
  const char* name;
  std::string rules;
  const char* code = ""; // empty: nothing is found
  std::string what = "";
};
std::ostream& operator<<(std::ostream& stream, const CheckCase& one) { return stream << one.name; }

const std::vector<CheckCase>& check_cases() {
  static const std::vector<CheckCase> cases{
      {"NoRules", "true"},
      {"Docker", "iptables-restore <<'X'\n" + docker_like() + "X\n", "forward-drop", "ip filter FORWARD"},
      {"DockerThatAccepts", "iptables-restore <<'X'\n" + docker_like("-A DOCKER-USER -m conntrack --ctstate DNAT -j ACCEPT\n") + "X\n"},
      {"Ufw", "iptables-restore <<'X'\n" + ufw_like() + "X\n", "forward-drop", "ip filter FORWARD"},
      {"UfwThatAccepts",
       "iptables-restore <<'X'\n" +
           ufw_like(fmt::format("-A ufw-user-forward -p tcp -d {} --dport 8443 -j ACCEPT\n", Lab::address(Host::primary).text())) + "X\n"},
      {"Firewalld", "nft -f - <<'X'\n" + firewalld_like() + "X\n"},
      {"IptablesPolicy", "iptables -P FORWARD DROP && iptables -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
       "forward-drop", "ip filter FORWARD has the policy drop, and none of its rules accepts packets to 198.18.11.2:8443"},
      {"IptablesRule", "iptables -A FORWARD -p tcp --dport 8000:9000 -j DROP", "forward-drop", "ip filter FORWARD rule 1 drops"},
      {"NftPolicyEstablished",
       "nft 'add table inet fw; add chain inet fw f { type filter hook forward priority 0; policy drop; }; "
       "add rule inet fw f ct state established,related accept; add rule inet fw f ip daddr 192.0.2.0/24 accept'",
       "forward-drop", "inet fw f"},
      {"NftPolicyDnat", "nft 'add table inet fw; add chain inet fw f { type filter hook forward priority 0; policy drop; }; "
                        "add rule inet fw f ct state established,related accept; add rule inet fw f ct status dnat accept'"},
      {"NftPolicyInterface", "nft 'add table inet fw; add chain inet fw f { type filter hook forward priority 0; policy drop; }; "
                             "add rule inet fw f oifname to-primary accept'"},
      {"NftEarlierNat",
       "nft 'add table ip docker; add chain ip docker PREROUTING { type nat hook prerouting priority -150; }; "
       "add rule ip docker PREROUTING tcp dport 22 dnat to 10.0.0.8; "
       "add rule ip docker PREROUTING ip saddr 10.0.0.0/8 ip daddr 203.0.113.10 tcp dport 443 dnat to 10.0.0.9:80'",
       "other-nat",
       "ip docker PREROUTING rule 2 translates packets to 203.0.113.10:443/tcp (some clients') to 10.0.0.9:80 before hanat does"},
      {"NftLaterNat", "nft 'add table ip docker; add chain ip docker PREROUTING { type nat hook prerouting priority dstnat; }; "
                      "add rule ip docker PREROUTING ip daddr 203.0.113.10 dnat to 10.0.0.9'"},
      {"IptablesNotrack", "iptables -t raw -A PREROUTING -d 203.0.113.10 -p tcp -j CT --notrack", "notrack", "ip raw PREROUTING rule 1"},
      {"IptablesNotrackElsewhere", "iptables -t raw -A PREROUTING -d 203.0.113.99 -p tcp -j CT --notrack"},
  };
  return cases;
}

class RuleChecksOf : public testing::TestWithParam<CheckCase> {};
INSTANTIATE_TEST_SUITE_P(, RuleChecksOf, testing::ValuesIn(check_cases()), [](const auto& instance) { return instance.param.name; });

TEST_P(RuleChecksOf, ALoadedRuleset) {
  Lab lab;
  lab.must(Host::gateway, GetParam().rules);
  const auto ruleset = lab.in(Host::gateway, [] { return nat::read_ruleset_to_check({"hanat"}); });
  const CheckedService web{.name = "web",
                           .listen = {{.address = Lab::vip(443).address, .protocol = Protocol::tcp, .port = 443}},
                           .servers = {Lab::endpoint(Host::primary, 8443)},
                           .interfaces = {"to-primary"}};
  const auto found = check_rules(ruleset, {web}, "hanat");
  for (const Finding& one : found) fmt::print("{}: {}\n  {}\n", one.code, one.what, one.remedy);
  if (GetParam().code[0] == '\0') {
    EXPECT_TRUE(found.empty());
    return;
  }
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found.front().code, GetParam().code);
  EXPECT_THAT(without_handles(found.front().what), HasSubstr(GetParam().what));
  EXPECT_NE(found.front().severity, Severity::problem) << "evidence decides";
}

TEST(RuleChecks, TooManyRulesAreReadInPart) {
  Lab lab;
  lab.must(Host::gateway,
           "(echo 'add table ip others'; echo 'add chain ip others c { type filter hook forward priority 0; policy drop; }'; "
           "for i in $(seq 3000); do echo \"add rule ip others c ip saddr 192.0.2.1 tcp dport $((i)) accept\"; done) | nft -f -");
  const auto ruleset = lab.in(Host::gateway, [] { return nat::read_ruleset_to_check({"hanat"}, 1'000); });
  const nat::ForeignChain& chain = ruleset.chains.at({nat::TableFamily::ip, "others", "c"});
  EXPECT_EQ(chain.rules.size(), 1'000U);
  EXPECT_FALSE(chain.is_complete);
  const auto found = check_rules(ruleset, {}, "hanat");
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found.front().code, "rules-not-checked");
}

} // namespace
} // namespace hanat::test
