// What a thousand clients a second see of a server's death, with the configuration as it comes: the short form of hanat-bench-detect.
#include <chrono>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/incident.hpp"

namespace hanat::test {
namespace {

struct Promise {
  Incident incident;
  milliseconds span;
  milliseconds slowest; // connect(); twice what is promised of a machine that does nothing else
};

class Detection : public testing::TestWithParam<Promise> {};
INSTANTIATE_TEST_SUITE_P(, Detection,
                         testing::Values(Promise{Incident::killed, milliseconds{1'500}, milliseconds{400}},
                                         Promise{Incident::link_cut, milliseconds{1'500}, milliseconds{600}},
                                         Promise{Incident::silent, milliseconds{4'500}, milliseconds{3'700}}),
                         [](const auto& one) {
                           switch (one.param.incident) {
                           case Incident::killed: return "ProcessKilled";
                           case Incident::link_cut: return "LinkCut";
                           case Incident::silent: return "ServerSilent";
                           case Incident::hanging: return "ProcessStopped";
                           case Incident::sick: return "ServiceSick";
                           }
                           return "";
                         });

TEST_P(Detection, LosesNoConnectionThatWasNotYetMade) {
  Lab lab{{.vip_local = true}};
  MixedServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
  Hanatd hanatd{lab, fmt::format("[service.web]\nlisten = \"{}/tcp\"\nprimary = \"{}\"\nbackup = \"{}\"\n", to_text(Lab::vip(443)),
                                 to_text(Lab::endpoint(Host::primary, 8443)), to_text(Lab::endpoint(Host::backup, 8443)))};
  hanatd.wait_target("web", "primary");
  hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "backup").health == "up"; });
  const Seen seen =
      meet(lab, primary, Lab::vip(443), GetParam().incident, GetParam().span, [] { return std::optional<TestClock::time_point>{}; });
  fmt::print("{}: {}\n", to_text(GetParam().incident), seen.load);
  EXPECT_EQ(seen.load.count(Result::refused), 0U);
  EXPECT_EQ(seen.load.count(Result::timeout) + seen.load.count(Result::unreachable), 0U);
  EXPECT_GT(seen.load.answered().count("backup"), 0U) << hanatd.log();
  EXPECT_LT(seen.load.slowest_connect(), GetParam().slowest);
}

} // namespace
} // namespace hanat::test
