// Wall clock times as text.
#include "daemon/util/wall_time.hpp"

#include <gtest/gtest.h>

namespace hanat {
namespace {

TEST(WallTimeText, IsRfc3339InUtcWithMilliseconds) {
  EXPECT_EQ(to_text(WallTime{}), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(to_text(WallTime{std::chrono::milliseconds{1'769'853'600'123}}), "2026-01-31T10:00:00.123Z");
}

TEST(WallTimeText, ReadsWhatItWrites) {
  for (const auto ms : {0LL, 1LL, 951'782'400'000LL, 1'769'853'600'123LL, 253'402'300'799'999LL}) {
    const WallTime time{std::chrono::milliseconds{ms}};
    EXPECT_EQ(parse_wall_time(to_text(time)), time);
  }
  EXPECT_EQ(parse_wall_time("1970-01-01T00:00:01Z"), WallTime{std::chrono::seconds{1}});
}

TEST(WallTimeText, RefusesEverythingElse) {
  for (const auto* bad : {"", "Z", "2026-01-31", "2026-01-31T10:00:00", "2026-01-31T10:00:00+01:00", "2026-02-30T10:00:00Z",
                          "2026-01-31T24:00:00Z", "2026-01-31 10:00:00Z", "2026-01-31T10:00:00.12Z", "2026-01-31T10:00:00,123Z",
                          "+026-01-31T10:00:00Z", "2026-01-31T10:00:-1Z", "1969-12-31T23:59:59Z"})
    EXPECT_EQ(parse_wall_time(bad), std::nullopt) << bad;
}

TEST(EventClock, DoesNotDecreaseUnlessTheClockIsSetBackFar) {
  const WallTime noon{std::chrono::hours{12}};
  using std::chrono::seconds;
  EventClock clock;
  EXPECT_EQ(clock.at(noon), noon);
  EXPECT_EQ(clock.at(noon - seconds{9}), noon);
  EXPECT_EQ(clock.at(noon - seconds{1}), noon);
  EXPECT_EQ(clock.at(noon + seconds{1}), noon + seconds{1});
  EXPECT_EQ(clock.at(noon - std::chrono::hours{1}), noon - std::chrono::hours{1}) << "it had been wrong before";
  EXPECT_EQ(clock.at(noon - std::chrono::hours{1}), noon - std::chrono::hours{1});
}

} // namespace
} // namespace hanat
