// Rates from totals at chosen times.
#include "cli/top/flow_rates.hpp"

#include <gmock/gmock.h>

namespace hanat::cli::top {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

class TopFlowRates : public testing::Test {
protected:
  FlowRates rates;
  FlowRates::Time now{1'000s};

  Rates after(std::chrono::milliseconds time, std::optional<std::uint64_t> primary, std::optional<std::uint64_t> backup = 0) {
    now += time;
    ServiceStatus web;
    web.name = "web";
    web.servers.resize(2);
    web.servers[0].role = "primary";
    web.servers[0].new_flows = primary;
    web.servers[1].role = "backup";
    web.servers[1].new_flows = backup;
    return rates.update(web, now);
  }
};

TEST_F(TopFlowRates, AreTheDifferenceOfTwoReadingsByTheTimeBetween) {
  EXPECT_THAT(after(0s, 100), IsEmpty()) << "the first says nothing";
  EXPECT_THAT(after(1s, 110), IsEmpty()) << "hanatd's figure may be a second old";
  EXPECT_THAT(after(1s, 120), ElementsAre(Pair("backup", 0), Pair("primary", 10)));
  EXPECT_THAT(after(50ms, 120), ElementsAre(Pair("backup", 0), Pair("primary", 10))) << "an event: it was asked for once more";
  EXPECT_THAT(after(1'950ms, 120, 50), ElementsAre(Pair("backup", 25), Pair("primary", 0))) << "the traffic has moved";
  EXPECT_THAT(after(30s, 420, 50), ElementsAre(Pair("backup", 0), Pair("primary", 10))) << "out of view it is asked for seldom";
}

TEST_F(TopFlowRates, AreNotKnownWhereTheTotalBeginsAnew) {
  after(0s, std::nullopt, std::nullopt);
  EXPECT_THAT(after(2s, 0, 0), IsEmpty()) << "hanatd's first reading";
  EXPECT_THAT(after(2s, 20, 0), ElementsAre(Pair("backup", 0), Pair("primary", 10)));
  EXPECT_THAT(after(2s, 4, 0), ElementsAre(Pair("backup", 0))) << "another hanatd";
  EXPECT_THAT(after(2s, 8, 0), ElementsAre(Pair("backup", 0), Pair("primary", 2)));
  EXPECT_THAT(after(2s, std::nullopt, 0), ElementsAre(Pair("backup", 0)));
}

TEST_F(TopFlowRates, AreShort) {
  EXPECT_EQ(rate_text(0), "0");
  EXPECT_EQ(rate_text(0.04), "0.0");
  EXPECT_EQ(rate_text(3.44), "3.4");
  EXPECT_EQ(rate_text(12.6), "13");
  EXPECT_EQ(rate_text(120'400), "120400");
}

} // namespace
} // namespace hanat::cli::top
