// Which probes of a server decide: lists of which one is enough, and probes that only warn.
// Not here: the window of one probe (failure_window_test), how the configuration is read (config/probe).
#include "daemon/decision/verdict.hpp"

#include <deque>
#include <vector>

#include <gtest/gtest.h>

namespace hanat {
namespace {

using namespace std::chrono_literals;

constexpr Time moment{100s};

/// Probes of one server, and what each says.
class Probes {
public:
  Probes& add(Health health, std::uint8_t any_of = 0, bool advisory = false, const char* address = "10.0.0.11") {
    probes::Probe& probe = kept_.emplace_back();
    probe.spec.any_of = any_of;
    probe.spec.advisory = advisory;
    probe.server.address = Address::parse(address).value();
    FailureWindow window{{}, {}};
    window.restore({.health = health, .fails = {}, .fails_or_full = {}, .passes = {.length = health == Health::up ? 1U : 0U}, .alive = {}});
    states_.push_back({.probe = &probe, .id = {}, .window = window, .rate = {}, .last = {}});
    return *this;
  }
  Health verdict() const { return verdict_of(states_); }
  bool passed() const { return have_passed(states_); }
  std::size_t worst() const {
    const ServerState server{.role = "primary", .addresses = {}, .probes = states_};
    return static_cast<std::size_t>(&worst_probe(server, moment) - server.probes.data());
  }

private:
  std::deque<probes::Probe> kept_;
  std::vector<ProbeState> states_;
};

TEST(Verdict, IsTheWorstOfProbesThatStandAlone) {
  EXPECT_EQ(Probes{}.verdict(), Health::unknown);
  EXPECT_EQ(Probes{}.add(Health::up).add(Health::up).verdict(), Health::up);
  EXPECT_EQ(Probes{}.add(Health::up).add(Health::full).verdict(), Health::full);
  EXPECT_EQ(Probes{}.add(Health::full).add(Health::unknown).verdict(), Health::unknown);
  EXPECT_EQ(Probes{}.add(Health::unknown).add(Health::down).verdict(), Health::down);
}

TEST(Verdict, OfAListAnyOneProbeIsEnough) {
  EXPECT_EQ(Probes{}.add(Health::down, 1).add(Health::up, 1).verdict(), Health::up);
  EXPECT_EQ(Probes{}.add(Health::down, 1).add(Health::full, 1).verdict(), Health::full);
  EXPECT_EQ(Probes{}.add(Health::down, 1).add(Health::unknown, 1).verdict(), Health::unknown) << "it may pass yet";
  EXPECT_EQ(Probes{}.add(Health::down, 1).add(Health::down, 1).verdict(), Health::down);
  EXPECT_EQ(Probes{}.add(Health::down, 1).add(Health::up, 1).add(Health::down).verdict(), Health::down) << "and one that has to pass";
  EXPECT_EQ(Probes{}.add(Health::down, 1).add(Health::up, 2).add(Health::up, 1).add(Health::down, 2).verdict(), Health::up) << "two lists";
  EXPECT_EQ(Probes{}.add(Health::down, 1).add(Health::up, 2).add(Health::down, 1).add(Health::down, 2).verdict(), Health::down);
}

TEST(Verdict, EachFamilyOfAServerNeedsOneOfItsList) {
  Probes both;
  both.add(Health::up, 1).add(Health::down, 1, false, "fd00::11").add(Health::down, 1).add(Health::down, 1, false, "fd00::11");
  EXPECT_EQ(both.verdict(), Health::down);
  EXPECT_EQ(both.add(Health::up, 1, false, "fd00::11").verdict(), Health::up);
}

TEST(Verdict, AProbeThatOnlyWarnsDecidesNothing) {
  Probes probes;
  probes.add(Health::up).add(Health::down, 0, true);
  EXPECT_EQ(probes.verdict(), Health::up);
  EXPECT_EQ(probes.worst(), 0U) << "nor does it stand for the server";
  EXPECT_EQ(Probes{}.add(Health::up).add(Health::unknown, 0, true).verdict(), Health::up);
}

TEST(Verdict, TheWorstProbeIsTheBestOfItsList) {
  EXPECT_EQ(Probes{}.add(Health::down, 1).add(Health::up, 1).worst(), 1U) << "or the server would be up, and shown as refused";
  EXPECT_EQ(Probes{}.add(Health::down, 1).add(Health::up, 1).add(Health::full).worst(), 2U);
}

TEST(Verdict, NewProbesTakeOverWhenWhatDecidesHasPassed) {
  EXPECT_TRUE(Probes{}.add(Health::up).add(Health::down, 0, true).passed());
  EXPECT_TRUE(Probes{}.add(Health::up, 1).add(Health::down, 1).passed());
  EXPECT_FALSE(Probes{}.add(Health::up, 1).add(Health::down, 1).add(Health::down).passed());
}

TEST(ProbeRate, AServerThatIsDownIsAskedAtItsDownIntervalWhileAnotherServes) {
  probes::Probe probe;
  probe.spec.interval = 1s;
  probe.spec.down_interval = 30s;
  const auto interval = [&probe](Health health, unsigned passes, ProbePace pace) {
    FailureWindow window{{}, {}};
    window.restore({.health = health, .fails = {}, .fails_or_full = {}, .passes = {.length = passes}, .alive = {}});
    return rate_of({}, {.probe = &probe, .id = {}, .window = window, .rate = {}, .last = {}}, pace).interval;
  };
  EXPECT_EQ(interval(Health::down, 0, ProbePace::relaxed), 30s);
  EXPECT_EQ(interval(Health::down, 0, ProbePace::usual), 1s) << "no server has the traffic";
  EXPECT_EQ(interval(Health::down, 1, ProbePace::relaxed), 1s) << "it comes back";
  EXPECT_EQ(interval(Health::down, 0, ProbePace::fast), probe.spec.fast_interval);
  EXPECT_NE(interval(Health::up, 9, ProbePace::relaxed), 30s);
}

} // namespace
} // namespace hanat
