// Clients that wait, seen from their sockets: they tell that a process hangs long before the next probe is due, and a server that is only
// slow, or pauses, is not taken for a dead one because they wait. Ten minutes of it: HANAT_CALM_SECONDS=600. Not here: how many clients a
// death costs by default (bench/detect).
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/incident.hpp"
#include "tests/netns/lab/scenario.hpp"
#include "tests/netns/lab/slow_server.hpp"

namespace hanat::test {
namespace {

std::string web_probed_each(const std::string& interval, const std::string& type = "http") {
  return fmt::format(
      "[service.web]\nlisten = \"{}/tcp\"\nprimary = \"{}\"\nbackup = \"{}\"\nprobe = {{ type = \"{}\", interval = \"{}\" }}\n",
      to_text(Lab::vip(443)), to_text(Lab::endpoint(Host::primary, 8443)), to_text(Lab::endpoint(Host::backup, 8443)), type, interval);
}

void wait_for_both(const Hanatd& hanatd) {
  hanatd.wait_target("web", "primary");
  hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "backup").health == "up"; });
}

class WaitingClients : public testing::TestWithParam<Incident> {};
INSTANTIATE_TEST_SUITE_P(, WaitingClients, testing::Values(Incident::hanging, Incident::silent),
                         [](const auto& one) { return one.param == Incident::hanging ? "ProcessStopped" : "ServerSilent"; });

/// Five minutes between two probes: only the clients can have called for one.
TEST_P(WaitingClients, CallForProbesAtOnce) {
  Lab lab{{.vip_local = true}};
  MixedServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
  Hanatd hanatd{lab, web_probed_each("300s")};
  wait_for_both(hanatd);
  const Seen seen =
      meet(lab, primary, Lab::vip(443), GetParam(), milliseconds{2'500}, [] { return std::optional<TestClock::time_point>{}; });
  fmt::print("{}: {}\n", to_text(GetParam()), seen.load);
  ASSERT_TRUE(seen.recovered) << hanatd.log();
  // timeout + two steps of the burst + 0.1 s, and as much again for a machine that does something else
  const milliseconds slack{700};
  for (const Connect& connect : seen.load.connects) {
    if (connect.started <= seen.began + milliseconds{700} + slack) continue;
    ASSERT_EQ(connect.by, "backup") << hanatd.log();
  }
  const Output why = hanatd.ctl({"why", "web"});
  EXPECT_NE(why.out.find("clients wait for "), std::string::npos) << why.out;
}

struct Slow {
  const char* name;
  milliseconds delay{0}, pause{0}, every{0};
};
class SlowButAlive : public testing::TestWithParam<Slow> {};
INSTANTIATE_TEST_SUITE_P(
    , SlowButAlive,
    testing::Values(Slow{.name = "AnswersAtFourFifthsOfTheTimeout", .delay = milliseconds{400}},
                    Slow{.name = "PausesForSixTenthsOfTheTimeout", .pause = milliseconds{300}, .every = milliseconds{1'200}}),
    [](const auto& one) { return one.param.name; });

TEST_P(SlowButAlive, ItsServerKeepsTheTraffic) {
  Lab lab;
  SlowServer primary{lab, Host::primary, 8443, "primary"};
  MixedServer backup{lab, Host::backup, 8443, "backup"};
  Hanatd hanatd{lab, web_probed_each("1s")};
  wait_for_both(hanatd);
  Load load{lab, Host::client, Lab::vip(443), {.per_second = 200, .duration = milliseconds{60'000}}};
  std::this_thread::sleep_for(milliseconds{1'200}); // they are used to an answer at once
  primary.delay(GetParam().delay);
  primary.pause(GetParam().pause, GetParam().every);
  std::this_thread::sleep_for(milliseconds{2'500});
  const LoadResult seen = load.stop();
  fmt::print("{}\n", seen);
  const Status status = hanatd.status();
  EXPECT_EQ(service(status, "web").flips, 0U) << hanatd.log();
  EXPECT_EQ(server(service(status, "web"), "primary").health, "up") << hanatd.log();
  EXPECT_EQ(seen.count(Result::reset), 0U);
  EXPECT_EQ(seen.answered().count("backup"), 0U);
}

std::chrono::seconds time_under_load() {
  const char* said = std::getenv("HANAT_CALM_SECONDS"); // NOLINT(concurrency-mt-unsafe): nobody changes it
  return std::chrono::seconds{said == nullptr ? 4 : std::stol(said)};
}

/// A thousand clients a second, and every processor has something else to do.
TEST(SlowUnderLoad, UnderFullLoadBesideABusyNeighbourAServerThatPausesIsNeverTakenForADeadOne) {
  Lab lab;
  SlowServer primary{lab, Host::primary, 8443, "primary"};
  MixedServer backup{lab, Host::backup, 8443, "backup"};
  Hanatd hanatd{lab, web_probed_each("1s")};
  wait_for_both(hanatd);
  primary.pause(milliseconds{200}, milliseconds{1'500});
  std::vector<Process> busy;
  for (unsigned count = 0; count < std::thread::hardware_concurrency(); ++count)
    busy.push_back(lab.spawn(Host::client, {"sh", "-c", "while :; do :; done"}));
  Load load{lab, Host::client, Lab::vip(443), {.per_second = 1'000, .duration = time_under_load()}};
  const LoadResult seen = load.finish();
  fmt::print("{}\n", seen);
  const Status status = hanatd.status();
  EXPECT_EQ(service(status, "web").flips, 0U) << hanatd.log();
  EXPECT_EQ(server(service(status, "web"), "primary").health, "up") << hanatd.log();
  EXPECT_EQ(seen.failed(), 0U);
}

} // namespace
} // namespace hanat::test
