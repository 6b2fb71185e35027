// Clients whose conntrack entry was cut and who were not told: for a minute their next packet is reset, also after a restart of hanatd or
// a reload. With nf_conntrack_tcp_loose off such a packet is invalid, and only the rule for the set `moved` resets it.
// Not here: flows whose entry stands (sessions), clients that are told (nudge).
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class Moved : public testing::Test {
protected:
  static constexpr const char* untold = "nudge = false";

  /// The primary falls silent and the backup has the traffic; the entries of the clients on the primary are gone.
  void lose_primary() {
    hanatd.emplace(lab, fast_service({.extra = untold}));
    hanatd->wait_target("web", "primary");
    hanatd->wait_for([](const Status& now) { return server(service(now, "web"), "backup").health == "up"; });
    for (int count = 0; count < 3; ++count) {
      old_clients.emplace_back(lab, Host::client, Lab::vip(443));
      ASSERT_EQ(old_clients.back().ask().text, "primary");
    }
    lab.silent(Host::primary, true);
    hanatd->wait_target("web", "backup");
    hanatd->wait_for([](const Status& now) { return service(now, "web").last_flip->cut_ms.has_value(); }, milliseconds{8000});
    ASSERT_EQ(lab.must(Host::gateway,
                       "conntrack -L -p tcp --orig-dst 203.0.113.10 --reply-src " + Lab::address(Host::primary).text() + " 2>/dev/null"),
              "");
    ASSERT_THAT(lab.must(Host::gateway, "nft list set inet hanat stale4"), Not(HasSubstr("203.0.113.10"))) << "the sweeps are over";
  }
  void expect_reset(std::size_t client) {
    const Attempt attempt = old_clients.at(client).ask(milliseconds{1500});
    EXPECT_EQ(attempt.result, Result::reset) << attempt;
    EXPECT_THAT(lab.must(Host::gateway, "nft list set inet hanat recent4"), HasSubstr("203.0.113.10 . tcp . 443"));
  }

  Lab lab{{.tcp_loose = false}};
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  std::optional<Hanatd> hanatd;
  std::vector<TcpClient> old_clients;
};

TEST_F(Moved, AClientWhoseEntryWasCutIsResetAfterTheFlipAfterARestartAndUnderAnotherServicesName) {
  ASSERT_NO_FATAL_FAILURE(lose_primary());
  expect_reset(0);
  hanatd->kill9();
  hanatd->start();
  hanatd->wait_target("web", "backup");
  expect_reset(1);
  ASSERT_EQ(hanatd->reload(fast_service({.name = "renamed", .extra = untold})).exit, 0);
  hanatd->wait_target("renamed", "backup");
  expect_reset(2);
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443)).text, "backup");
}

} // namespace
} // namespace hanat::test
