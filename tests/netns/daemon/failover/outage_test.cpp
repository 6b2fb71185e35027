// All servers are silent at one moment, with real connections: a short blackout ends none of them and moves nothing; servers that refuse
// are believed dead at once. Not here: every path lost for good (cut_off_test), the doubt in simulated time (unit tests of failover).
#include <chrono>
#include <future>
#include <list>
#include <optional>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

class TotalOutage : public testing::Test {
protected:
  void begin(const std::string& extra = {}) {
    hanatd.emplace(lab, fast_service({.extra = extra}));
    wait_both_up(*hanatd);
    for (int number = 0; number < 3; ++number) clients.emplace_back(lab, Host::client, Lab::vip(443));
    for (TcpClient& client : clients) ASSERT_EQ(client.ask().text, "primary");
  }
  void silent(bool on) {
    for (const Host host : {Host::primary, Host::backup}) lab.silent(host, on);
  }
  void links(bool up) {
    for (const Host host : {Host::backup, Host::primary}) lab.link(host, up);
  }
  /// By one program: two that start one after the other may be a failover apart on a busy machine.
  void routes(bool lost) {
    std::string batch;
    for (const Host host : {Host::primary, Host::backup})
      batch += fmt::format("route {} unreachable {}\\n", lost ? "add" : "del", Lab::address(host).text());
    lab.must(Host::gateway, fmt::format("printf '{}' | ip -batch -", batch));
  }
  /// `lose` and `restore` the way to all servers, 1.2 seconds apart, while a client sends; `meanwhile` is called once the doubt has begun.
  template <typename Lose, typename Restore, typename Meanwhile> void black_out(Lose lose, Restore restore, Meanwhile meanwhile) {
    const auto end = TestClock::now() + milliseconds{1'200};
    lose();
    auto answer = std::async(std::launch::async, [this] { return clients.front().ask(seconds{8}); });
    hanatd->wait_for([](const Status& now) { return service(now, "web").outage.has_value(); });
    meanwhile();
    std::this_thread::sleep_until(end);
    restore();
    hanatd->wait_for([](const Status& now) {
      const ServiceStatus& web = service(now, "web");
      return !web.outage && server(web, "primary").health == "up" && server(web, "backup").health == "up";
    });
    EXPECT_EQ(answer.get().text, "primary") << "what it sent meanwhile";
  }
  void expect_nothing_moved() {
    const Status now = hanatd->status();
    EXPECT_EQ(service(now, "web").target, "primary");
    EXPECT_EQ(service(now, "web").why, "primary-up");
    EXPECT_EQ(service(now, "web").flips, 0U);
    for (TcpClient& client : clients) EXPECT_EQ(client.ask(seconds{5}).text, "primary") << "the same connection";
    EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443)).text, "primary");
  }

  Lab lab{{.bystander = true}};
  TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
  std::list<TcpClient> clients;
  std::optional<Hanatd> hanatd;
};

TEST_F(TotalOutage, OfASecondInSilenceMovesAndResetsNothing) {
  begin();
  Attempt fresh;
  std::future<void> connecting;
  black_out([&] { silent(true); }, [&] { silent(false); },
            [&] {
              const Status now = hanatd->status();
              EXPECT_EQ(service(now, "web").why, "outage-doubted");
              EXPECT_FALSE(service(now, "web").outage->new_refused);
              connecting = std::async(std::launch::async, [&] { fresh = connect_once(lab, Host::client, Lab::vip(443), seconds{5}); });
            });
  connecting.get();
  EXPECT_EQ(fresh.text, "primary") << "a client that came meanwhile connects with its next SYN";
  expect_nothing_moved();
  EXPECT_THAT(hanatd->ctl({"history", "web"}).out, HasSubstr("answers again after"));
}

TEST_F(TotalOutage, OfASecondByTheirLinksRefusesNewClientsAndKeepsThoseThatStand) {
  begin();
  black_out([&] { links(false); }, [&] { links(true); },
            [&] {
              hanatd->wait_for([](const Status& now) { return service(now, "web").outage && service(now, "web").outage->new_refused; });
              EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443), milliseconds{500}).result, Result::refused);
            });
  expect_nothing_moved();
}

TEST_F(TotalOutage, OfASecondByTheirRoutesLikewise) {
  begin();
  black_out([&] { routes(true); }, [&] { routes(false); }, [] {});
  expect_nothing_moved();
}

TEST_F(TotalOutage, ThatIsLongerEndsInOneMoveBackToThePrimary) {
  begin("none_after = \"500ms\"");
  silent(true);
  hanatd->wait_target("web", "none");
  EXPECT_EQ(clients.front().ask().result, Result::reset);
  silent(false);
  hanatd->wait_for([](const Status& now) { return service(now, "web").target != "none"; });
  wait_both_up(*hanatd);
  const Status now = hanatd->status();
  EXPECT_EQ(service(now, "web").flips, 2U);
  EXPECT_EQ(service(now, "web").last_flip->to, "primary");
  EXPECT_EQ(service(now, "web").last_flip->why, "recovered");
}

TEST_F(TotalOutage, ByRefusalIsBelievedAtOnce) {
  begin();
  const auto began = TestClock::now();
  backup.kill();
  primary.kill();
  while (hanatd->status().services.front().target != "none" && TestClock::now() < began + seconds{5}) {
  }
  const auto took = std::chrono::duration_cast<milliseconds>(TestClock::now() - began);
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443)).result, Result::refused);
  fmt::print("no server {} ms after both refused\n", took.count());
  EXPECT_LT(took, milliseconds{1'000}) << "none_after is three seconds";
  EXPECT_THAT(hanatd->ctl({"history", "web"}).out, testing::Not(HasSubstr("no server answers")));
}

TEST_F(TotalOutage, WithAWitnessThatAnswersIsBelievedAtOnce) {
  begin(fmt::format("witness = \"{}\"", Lab::address(Host::bystander).text()));
  hanatd->wait_for([](const Status& now) { return service(now, "web").witness && service(now, "web").witness->answers == true; });
  const auto began = TestClock::now();
  silent(true);
  hanatd->wait_target("web", "none");
  EXPECT_LT(TestClock::now() - began, seconds{2});
}

} // namespace
} // namespace hanat::test
