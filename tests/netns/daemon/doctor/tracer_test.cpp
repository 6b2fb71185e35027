// Real packets of real clients through real rules of nft and of iptables: the trace names table, chain, rule and verdict, and its remedy
// heals. Not here: many rules, several traces, the end of the process (trace_table_test), static checks (rule_checks_test).
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/doctor/rule_tracing.hpp"
#include "tests/netns/daemon/doctor/rulesets.hpp"
#include "tests/netns/daemon/doctor/tracing.hpp"
#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

using testing::HasSubstr;

struct TraceCase {
  const char* name;
  std::string rules; // a command line on the gateway
  const char* code;
  std::string what;
  bool heals = true; // the remedy is a command that lets the client through
};
std::ostream& operator<<(std::ostream& stream, const TraceCase& one) { return stream << one.name; }

std::string nft_chain(const std::string& head, const std::string& rule) {
  return fmt::format("nft 'add table inet fw; add chain inet fw chain1 {{ {}; }}; add rule inet fw chain1 {}'", head, rule);
}

std::vector<TraceCase> nft_cases() {
  return {
      {"NftRaw", nft_chain("type filter hook prerouting priority raw", "tcp dport 443 drop comment \"no web\""), "rule-drop",
       "dropped by inet fw chain1 rule 1 \"no web\""},
      {"NftPrerouting", nft_chain("type filter hook prerouting priority mangle", "ip daddr 203.0.113.0/24 counter drop"), "rule-drop",
       "dropped by inet fw chain1 rule 1"},
      {"NftForwardPolicy", nft_chain("type filter hook forward priority filter; policy drop", "tcp dport 22 accept"), "forward-drop",
       "dropped by inet fw chain1, policy drop"},
      {"NftReject", nft_chain("type filter hook forward priority filter", "tcp dport 8443 reject with tcp reset"), "forward-drop",
       "rejected by inet fw chain1 rule 1"},
      {"NftPostrouting", nft_chain("type filter hook postrouting priority mangle", "ct status dnat tcp dport 8443 drop"), "rule-drop",
       "dropped by inet fw chain1 rule 1"},
      {"NftJump",
       "nft 'add table inet fw; add chain inet fw deny; add chain inet fw chain1 { type filter hook forward priority 0; }; "
       "add rule inet fw deny counter; add rule inet fw deny ct state new drop; add rule inet fw chain1 tcp dport 8443 jump deny'",
       "forward-drop", "dropped by inet fw deny rule 2 (reached from chain1)"},
      {"NftDropsReplies", nft_chain("type filter hook forward priority filter", "tcp sport 8443 drop"), "forward-drop",
       "the server's reply is dropped by inet fw chain1 rule 1"},
      {"NftOtherNat",
       "nft 'add table ip docker; add chain ip docker PREROUTING { type nat hook prerouting priority -150; }; "
       "add rule ip docker PREROUTING tcp dport 22 accept; add rule ip docker PREROUTING udp dport 53 accept; "
       "add rule ip docker PREROUTING ip daddr 203.0.113.10 tcp dport 443 dnat to 10.0.0.9'",
       "other-nat", "ip docker PREROUTING rule 3 translated it to 10.0.0.9:443 first"},
      {"NftNotrack", nft_chain("type filter hook prerouting priority raw", "ip daddr 203.0.113.10 notrack"), "notrack",
       "inet fw chain1 rule 1 takes it out of connection tracking"},
  };
}

std::vector<TraceCase> iptables_cases() {
  return {
      {"IptablesRaw", "iptables -t raw -A PREROUTING -p udp -j ACCEPT && iptables -t raw -A PREROUTING -p tcp --dport 443 -j DROP",
       "rule-drop", "dropped by ip raw PREROUTING rule 2"},
      {"IptablesMangle", "iptables -t mangle -A PREROUTING -p tcp -m multiport --dports 80,443 -m comment --comment 'no web here' -j DROP",
       "rule-drop", "dropped by ip mangle PREROUTING rule 1 \"no web here\""},
      {"IptablesForwardPolicy", "iptables -P FORWARD DROP", "forward-drop", "dropped by ip filter FORWARD, policy drop"},
      {"IptablesForwardRule",
       "iptables -A FORWARD -p udp -j ACCEPT && iptables -A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT && "
       "iptables -A FORWARD -m conntrack --ctstate NEW -m comment --comment 'nothing new' -j DROP",
       "forward-drop", "dropped by ip filter FORWARD rule 3 \"nothing new\""},
      {"IptablesReject", "iptables -A FORWARD -p tcp -j REJECT", "forward-drop", "rejected by ip filter FORWARD rule 1"},
      {"IptablesPostrouting", "iptables -t mangle -A POSTROUTING -p tcp --dport 8443 -m conntrack --ctstate DNAT -j DROP", "rule-drop",
       "dropped by ip mangle POSTROUTING rule 1"},
      {"IptablesNotrack", "iptables -t raw -A PREROUTING -p tcp --dport 443 -j CT --notrack", "notrack",
       "ip raw PREROUTING rule 1 takes it out of connection tracking"},
  };
}

std::vector<TraceCase> other_cases() {
  return {
      {"Docker", "iptables-restore <<'X'\n" + docker_like() + "X\n", "forward-drop", "dropped by ip filter FORWARD, policy drop"},
      {"Ufw", "iptables-restore <<'X'\n" + ufw_like() + "X\n", "forward-drop", "dropped by ip filter FORWARD, policy drop", false},
      {"Firewalld", "nft -f - <<'X'\n" + firewalld_like(false) + "X\n", "forward-drop", "rejected by inet firewalld filter_FORWARD rule 6",
       false},
      {"NotForwarded", "sysctl -qw net.ipv4.ip_forward=0", "not-forwarded", "lost between prerouting and forward", false},
      {"HanatsOwnDrop", "nft 'delete element inet hanat dnat4 { 203.0.113.10 . tcp . 443 }'", "own-drop",
       "dropped by inet hanat dnat_ipv4 rule 2 \"no target\"", false},
  };
}

class TraceNames : public testing::TestWithParam<TraceCase> {
protected:
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
};
constexpr auto name_of_case = [](const auto& instance) { return instance.param.name; };
INSTANTIATE_TEST_SUITE_P(Nft, TraceNames, testing::ValuesIn(nft_cases()), name_of_case);
INSTANTIATE_TEST_SUITE_P(Iptables, TraceNames, testing::ValuesIn(iptables_cases()), name_of_case);
INSTANTIATE_TEST_SUITE_P(Others, TraceNames, testing::ValuesIn(other_cases()), name_of_case);

TEST_P(TraceNames, TheCulpritAndItsRemedy) {
  const TraceCase& one = GetParam();
  const bool own = std::string{one.code} == "own-drop"; // only a table without an owner can be damaged
  Hanatd hanatd{lab, fast_service(), {.arguments = own ? std::vector<std::string>{"--shared-table"} : std::vector<std::string>{}}};
  wait_both_up(hanatd);
  if (own) hanatd.kill9(); // it would repair its table
  lab.must(Host::gateway, one.rules);
  const auto began = TestClock::now();
  const TraceResult result = trace_connect(lab);
  SCOPED_TRACE(trace_text(result.packets));
  EXPECT_EQ(result.error, "");
  EXPECT_LT(TestClock::now() - began, milliseconds{2500});
  ASSERT_FALSE(result.packets.empty());
  const auto found = culprit_of(result.packets, result.ruleset, web_context());
  ASSERT_TRUE(found) << "nothing was found";
  EXPECT_EQ(found->code, one.code);
  EXPECT_THAT(without_handles(found->what), HasSubstr(one.what));
  EXPECT_THAT(found->seen_by, HasSubstr(one.what.find("reply") == std::string::npos ? " by to-client" : " by to-primary"));
  EXPECT_EQ(found->service, "web");
  fmt::print("{}\n  {}\n", found->what, found->remedy);
  EXPECT_EQ(lab.must(Host::gateway, "nft list tables").find("_trace"), std::string::npos);
  if (!one.heals) return;
  lab.must(Host::gateway, found->remedy);
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443)).text, "primary") << found->remedy;
}

struct CleanCase {
  const char* name;
  std::string rules;
};
std::ostream& operator<<(std::ostream& stream, const CleanCase& one) { return stream << one.name; }

class TraceFindsNothing : public testing::TestWithParam<CleanCase> {
protected:
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
};
INSTANTIATE_TEST_SUITE_P(
    , TraceFindsNothing,
    testing::Values(CleanCase{"WithoutRules", "true"}, CleanCase{"Firewalld", "nft -f - <<'X'\n" + firewalld_like() + "X\n"},
                    CleanCase{"Docker", "iptables-restore <<'X'\n" +
                                            docker_like("-A DOCKER-USER -m conntrack --ctstate DNAT --ctorigdst 203.0.113.10 -j ACCEPT\n") +
                                            "X\n"},
                    CleanCase{"Ufw", "iptables-restore <<'X'\n" + ufw_like("-A ufw-user-forward -p tcp --dport 8443 -j ACCEPT\n") + "X\n"}),
    [](const auto& instance) { return instance.param.name; });

TEST_P(TraceFindsNothing, OnACleanGateway) {
  Hanatd hanatd{lab, fast_service()};
  wait_both_up(hanatd);
  lab.must(Host::gateway, GetParam().rules);
  ASSERT_EQ(connect_once(lab, Host::client, Lab::vip(443)).text, "primary");
  const TraceResult result = trace_connect(lab);
  SCOPED_TRACE(trace_text(result.packets));
  ASSERT_EQ(result.error, "");
  const auto found = culprit_of(result.packets, result.ruleset, web_context());
  EXPECT_FALSE(found) << found->what;
  const Passage passage = passage_of(result.packets, "hanat");
  EXPECT_EQ(passage.request, Reached::left);
  EXPECT_EQ(passage.reply, Reached::left);
  EXPECT_EQ(passage.came_by, "to-client");
  EXPECT_EQ(passage.left_by, "to-primary");
  EXPECT_EQ(passage.sent_to, Lab::endpoint(Host::primary, 8443));
}

/// The kernel takes no table of such a name.
TEST(TraceThatCannotBegin, SaysWhyAndHoldsNobodyUp) {
  Lab lab;
  const std::string table(300, 'x');
  const TraceResult result = trace_connect(lab, {.table = table});
  EXPECT_NE(result.error, "");
  EXPECT_TRUE(result.packets.empty());
  lab.in(Host::gateway, [&] {
    uv_loop_t loop{};
    uv_loop_init(&loop);
    std::string order;
    {
      RuleTracing tracing{&loop, table};
      tracing.start(
          {.service = "web", .client = Lab::address(Host::client), .client_port = {}, .vip = traced_vip(), .server = {}, .seen_by = {}},
          milliseconds{3000}, [&] { order += "ready "; },
          [&](const Traced& traced) {
            order += "done ";
            EXPECT_TRUE(traced.found.empty());
            EXPECT_FALSE(traced.seen);
          });
      uv_run(&loop, UV_RUN_DEFAULT);
    }
    uv_run(&loop, UV_RUN_DEFAULT); // frees the handles
    uv_loop_close(&loop);
    EXPECT_EQ(order, "ready done ") << "whoever waits for the begin goes on";
  });
}

} // namespace
} // namespace hanat::test
