// Times as an operator types them. Not here: the options that take one (arguments_test).
#include "cli/moment.hpp"

#include <gtest/gtest.h>

#include "tests/unit/cli/show_fixture.hpp"

namespace hanat::cli {
namespace {

using MomentText = Show; // the zone is UTC

std::string at(std::string_view text) {
  const auto moment = parse_moment(text, now); // 2026-01-31 14:00:05
  return moment ? to_text(moment->begin) : "";
}

TEST_F(MomentText, IsATimeADateOrSoLongAgo) {
  EXPECT_EQ(at("13:30"), "2026-01-31T13:30:00.000Z");
  EXPECT_EQ(at("14:00:05"), "2026-01-31T14:00:05.000Z");
  EXPECT_EQ(at("14:01"), "2026-01-30T14:01:00.000Z") << "that was yesterday";
  EXPECT_EQ(at("2026-01-29"), "2026-01-29T00:00:00.000Z");
  EXPECT_EQ(at("2026-01-29 08:15"), "2026-01-29T08:15:00.000Z");
  EXPECT_EQ(at("2026-01-29T08:15:01"), "2026-01-29T08:15:01.000Z");
  EXPECT_EQ(at("2026-01-31T10:00:00.123Z"), "2026-01-31T10:00:00.123Z");
  EXPECT_EQ(at("2h"), "2026-01-31T12:00:05.000Z");
  EXPECT_EQ(at("1h30m"), "2026-01-31T12:30:05.000Z");
  EXPECT_NE(at("400000d"), "") << "before everything";
  for (const char* bad : {"", "yesterday", "25:00", "12:60", "2026-13-01", "14:00 ", "14", "2h ago"}) EXPECT_EQ(at(bad), "") << bad;
}

TEST_F(MomentText, LastsAsLongAsItsWordsSay) {
  using namespace std::chrono_literals;
  const auto lasts = [](std::string_view text) { return parse_moment(text, now).value().lasts; };
  for (const char* minute : {"14:00", "2026-01-29 08:15", "2026-01-29T08:00"}) EXPECT_EQ(lasts(minute), 1min) << minute;
  for (const char* second : {"14:00:00", "2026-01-29 08:15:00"}) EXPECT_EQ(lasts(second), 1s) << second;
  EXPECT_EQ(lasts("2026-01-29"), 24h);
  for (const char* exact : {"2h", "2026-01-31T10:00:00.000Z"}) EXPECT_EQ(lasts(exact), 0s) << exact;
}

} // namespace
} // namespace hanat::cli
