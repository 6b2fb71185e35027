// Durations as people write them.
#include "daemon/util/duration.hpp"

#include <gtest/gtest.h>

namespace hanat {
namespace {

using namespace std::chrono_literals;

TEST(Duration, IsAWholeNumberWithAUnit) {
  EXPECT_EQ(parse_duration("500ms"), 500ms);
  EXPECT_EQ(parse_duration("10s"), 10s);
  EXPECT_EQ(parse_duration("5m"), 5min);
  EXPECT_EQ(parse_duration("2h"), 2h);
  EXPECT_EQ(parse_duration("1d"), 24h);
  EXPECT_EQ(parse_duration("0s"), 0s);
}

TEST(Duration, IsASumOfSeveral) {
  EXPECT_EQ(parse_duration("1h30m"), 90min);
  EXPECT_EQ(parse_duration("1s500ms"), 1500ms);
}

TEST(Duration, IsNothingElse) {
  for (const auto* text : {"", "5", "s", "-5s", "+5s", "5 s", "5s ", "1.5s", "5S", "5sec", "1h30", "h1", "5\xc2\xb5s"})
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
}

TEST(Duration, ThatIsTooLongIsTheLongest) {
  for (const auto* text : {"99999999999999999999s", "9223372036854775807ms", "106752d", "106751d106751d"})
    EXPECT_EQ(parse_duration(text), std::chrono::nanoseconds::max()) << text;
}

TEST(Duration, AsTextUsesTheLargestExactUnit) {
  EXPECT_EQ(duration_text(0s), "0s");
  EXPECT_EQ(duration_text(500ms), "500ms");
  EXPECT_EQ(duration_text(1500ms), "1500ms");
  EXPECT_EQ(duration_text(60s), "1m");
  EXPECT_EQ(duration_text(90min), "90m");
  EXPECT_EQ(duration_text(48h), "2d");
  EXPECT_EQ(duration_text(1ns), "1ns");
}

} // namespace
} // namespace hanat
