// An operator's own DNAT rules for endpoints of hanat's, now or before: their clients are not disturbed. Seen from the clients' sockets.
// Not here: entries made by hand (conntrack_audit), other programs that change hanat's table (neighbours).
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"
#include "tests/netns/lab/synth.hpp"

namespace hanat::test {
namespace {

constexpr const char* audit_each_second = "[hanatd]\nreconcile = \"1s\"\n";

class OperatorRules : public testing::TestWithParam<Family> {
protected:
  Family family() const { return GetParam(); }
  Endpoint vip() const { return Lab::vip(443, family()); }
  std::string web() const { return fast_service({.listen = to_text(vip()) + "/tcp", .family = family()}); }
  /// Another service, whose audits show how time goes by.
  std::string other() const { return fast_service({.name = "other", .listen = "203.0.113.11:900/tcp", .port = 8443}); }
  /// A chain of the operator's, which sends TCP to the VIP to a server.
  void add_rule(const std::string& priority, const std::string& condition, Host server) {
    const Endpoint to = Lab::endpoint(server, 8443, family());
    lab.must(Host::gateway,
             fmt::format("nft 'add table inet operator; add chain inet operator pre {{ type nat hook prerouting priority {}; }}; "
                         "add rule inet operator pre {} {} daddr {} tcp dport 443 dnat {} to {}'",
                         priority, condition, ip(), vip().address.text(), ip(), to_text(to)));
  }
  const char* ip() const { return family() == Family::ipv4 ? "ip" : "ip6"; }
  /// Two audits have begun and ended since: what they find first is cut.
  void wait_for_audits() {
    for (std::uint16_t round = 0; round < 2; ++round) {
      const Vip where{.address = Address::parse("203.0.113.11").value(), .protocol = Protocol::tcp, .port = 900};
      ++next_port;
      const auto flows = flows_of({where, {Address::parse("198.18.11.2").value(), next_port}}, 1, next_port);
      lab.in(Host::gateway, [&] { synthesise(flows); });
      const auto left = [&] {
        return lab.in(Host::gateway,
                      [&] { return count_entries([&](const Flow& entry) { return entry.mapping == flows.front().mapping; }); });
      };
      const auto end = TestClock::now() + milliseconds{60000}; // an audit takes a hundredth of a processor at most
      while (left() != 0 && TestClock::now() < end) std::this_thread::sleep_for(milliseconds{20});
      ASSERT_EQ(left(), 0U);
    }
  }

  Lab lab{{.bystander = true}};
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  std::uint16_t next_port = 9000;
};
INSTANTIATE_TEST_SUITE_P(, OperatorRules, testing::Values(Family::ipv4, Family::ipv6),
                         [](const auto& instance) { return instance.param == Family::ipv4 ? "IPv4" : "IPv6"; });

TEST_P(OperatorRules, TakeOverTheEndpointOfAServiceThatIsRemoved) {
  Hanatd hanatd{lab, audit_each_second + web() + other()};
  hanatd.wait_target("web", "primary");
  hanatd.wait_target("other", "primary");
  TcpClient old_client{lab, Host::client, vip()};
  ASSERT_EQ(old_client.ask().text, "primary");
  add_rule("dstnat", "", Host::primary); // behind hanat's: it takes over when hanat's is gone
  ASSERT_EQ(hanatd.reload(audit_each_second + other()).exit, 0);
  EXPECT_EQ(old_client.wait_for_end(milliseconds{5000}).result, Result::reset) << "it stood when the service was removed";
  std::vector<TcpClient> stays;
  const auto connect = [&](std::size_t number) {
    for (std::size_t count = 0; count < number; ++count) {
      const Attempt attempt = connect_once(lab, Host::client, vip());
      ASSERT_EQ(attempt.text, "primary") << attempt;
      ASSERT_LT(attempt.latency, milliseconds{900}) << "its first SYN was answered";
    }
    stays.emplace_back(lab, Host::client, vip());
  };
  connect(50);
  wait_for_audits();
  connect(50);
  wait_for_audits();
  for (TcpClient& client : stays) EXPECT_EQ(client.ask().text, "primary");
  EXPECT_EQ(lab.must(Host::gateway, "nft list set inet hanat stale4; nft list set inet hanat stale6").find("elements"), std::string::npos);
}

TEST_P(OperatorRules, ThatExceptOneClientAreReportedAndNotFought) {
  Hanatd hanatd{lab, audit_each_second + web() + other()};
  hanatd.wait_target("web", "primary");
  hanatd.wait_target("other", "primary");
  add_rule("dstnat - 50", fmt::format("{} saddr {}", ip(), Lab::address(Host::bystander, family()).text()), Host::backup);
  ASSERT_EQ(connect_once(lab, Host::client, vip()).text, "primary");
  TcpClient ordinary{lab, Host::client, vip()};
  std::vector<TcpClient> stays;
  std::string shown;
  for (const auto end = TestClock::now() + milliseconds{60000}; shown.empty() && TestClock::now() < end;) {
    stays.clear();
    stays.emplace_back(lab, Host::bystander, vip()); // what an audit is to see
    const Attempt attempt = connect_once(lab, Host::bystander, vip());
    ASSERT_EQ(attempt.text, "backup") << attempt;
    const Status status = hanatd.status();
    for (const ForeignStatus& one : service(status, "web").foreign)
      if (one.flows > 0 && one.listen == to_text(vip()) + "/tcp") shown = one.server;
  }
  EXPECT_EQ(shown, to_text(Lab::endpoint(Host::backup, 8443, family()))) << hanatd.log();
  EXPECT_NE(hanatd.log().find("hanatd leaves them alone"), std::string::npos) << hanatd.log();
  TcpClient longer{lab, Host::bystander, vip()};
  wait_for_audits();
  EXPECT_EQ(longer.ask().text, "backup");
  for (int count = 0; count < 50; ++count) EXPECT_EQ(connect_once(lab, Host::bystander, vip()).text, "backup");
  wait_for_audits();
  EXPECT_EQ(longer.ask().text, "backup");
  EXPECT_EQ(ordinary.ask().text, "primary");

  for (const char* force : {"force-backup", "force-primary"}) ASSERT_EQ(hanatd.ctl({force, "web"}).exit, 0);
  hanatd.wait_target("web", "primary");
  hanatd.wait_for(
      [&](const Status& now) {
        connect_once(lab, Host::bystander, vip()); // again and again: it is reset as long as the cut lasts
        return service(now, "web").last_flip->cut_ms.has_value();
      },
      milliseconds{30000});
  EXPECT_NE(hanatd.log().find("left: such flows come back after each cut"), std::string::npos) << hanatd.log();
  TcpClient after{lab, Host::bystander, vip()};
  wait_for_audits();
  EXPECT_EQ(after.ask().text, "backup") << "a failback ends, too";
}

} // namespace
} // namespace hanat::test
