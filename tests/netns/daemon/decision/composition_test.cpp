// Several probes of one server: of a list `any` one is enough, a probe with critical = false only warns, and a server that is down is asked
// at its down_interval.
// Not here: which probes decide, case by case (unit: verdict).
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

using std::this_thread::sleep_for;
using testing::HasSubstr;

/// Servers of which each listens at two more ports, which only probes ask.
class Composition : public testing::Test {
protected:
  static std::string config(const std::string& probe) {
    return fmt::format("[service.web]\nlisten = \"{}/tcp\"\nprimary = \"{}\"\nbackup = \"{}\"\nprobe = {}\n"
                       "down = {{ fails = 2, within = \"2s\" }}\nup = {{ passes = 1, stable_for = \"0s\" }}\n",
                       to_text(Lab::vip(443)), to_text(Lab::endpoint(Host::primary, 8443)), to_text(Lab::endpoint(Host::backup, 8443)),
                       probe);
  }
  static std::string tcp(std::uint16_t port, const std::string& more = "") {
    return fmt::format("{{ type = \"tcp\", port = {}, interval = \"50ms\", fast_interval = \"10ms\"{} }}", port, more);
  }
  std::string who_answers() { return connect_once(lab, Host::client, Lab::vip(443)).text; }

  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
  std::optional<TcpServer> first{std::in_place, lab, Host::primary, std::uint16_t{9001}, "first"},
      second{std::in_place, lab, Host::primary, std::uint16_t{9002}, "second"};
  TcpServer backup_first{lab, Host::backup, 9001, "first"}, backup_second{lab, Host::backup, 9002, "second"};
};

TEST_F(Composition, OfAListAnyOneProbeIsEnough) {
  Hanatd hanatd{lab, config(fmt::format("[{}, {{ any = [{}, {}] }}]", tcp(8443), tcp(9001), tcp(9002)))};
  hanatd.wait_target("web", "primary");
  first.reset();
  const Status one = hanatd.wait_for([](const Status& now) {
    const auto& probes = server(service(now, "web"), "primary").probes;
    return probes.size() == 3 && probes[1].health == "down";
  });
  EXPECT_EQ(server(service(one, "web"), "primary").health, "up");
  EXPECT_EQ(server(service(one, "web"), "primary").last->outcome, "pass") << "what stands for the server is what decides";
  EXPECT_EQ(who_answers(), "primary");
  second.reset();
  hanatd.wait_target("web", "backup");
  EXPECT_EQ(who_answers(), "backup");
  first.emplace(lab, Host::primary, std::uint16_t{9001}, "first");
  hanatd.wait_target("web", "primary");
  EXPECT_EQ(who_answers(), "primary");
}

TEST_F(Composition, AProbeThatIsNotCriticalOnlyWarns) {
  Hanatd hanatd{lab, config(fmt::format("[{}, {}]", tcp(8443), tcp(9001, ", critical = false")))};
  hanatd.wait_target("web", "primary");
  first.reset();
  const Status warned = hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "primary").warning.has_value(); });
  EXPECT_EQ(server(service(warned, "web"), "primary").health, "up");
  EXPECT_EQ(service(warned, "web").flips, 0U);
  EXPECT_EQ(who_answers(), "primary");
  EXPECT_THAT(hanatd.ctl({"status"}).out, HasSubstr("critical = false"));
  EXPECT_THAT(hanatd.log(), HasSubstr("fails a probe that only warns (tcp "));
  EXPECT_EQ(hanatd.ctl({"status", "--check"}).exit, 0) << "the service is where it should be";
  first.emplace(lab, Host::primary, std::uint16_t{9001}, "first");
  hanatd.wait_for([](const Status& now) { return !server(service(now, "web"), "primary").warning; });
}

TEST_F(Composition, AServerThatIsDownIsAskedLessOftenWhileAnotherServes) {
  Hanatd hanatd{lab, config(tcp(9001, ", down_interval = \"1s\""))};
  hanatd.wait_target("web", "primary");
  first.reset();
  hanatd.wait_target("web", "backup");
  const auto asked = [&] {
    std::uint64_t number = 0;
    const Status now = hanatd.status();
    for (const auto& result : server(service(now, "web"), "primary").totals.value().results) number += result.number;
    return number;
  };
  const auto before = asked();
  sleep_for(milliseconds{1500}); // at 50 ms it would be 30
  const auto after = asked();
  EXPECT_GE(after, before + 1);
  EXPECT_LE(after, before + 3);
  first.emplace(lab, Host::primary, std::uint16_t{9001}, "first");
  hanatd.wait_target("web", "primary", milliseconds{2500});
}

} // namespace
} // namespace hanat::test
