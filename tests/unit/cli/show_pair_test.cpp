// The line of the status about a gateway of a pair.
#include "cli/show_pair.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hanat::cli {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string line_of(const std::string& role) {
  return show_pair({.role = role, .since = "2026-11-28T14:00:00.000Z", .settled = role == "active", .address = "203.0.113.10"},
                   {.now = *parse_wall_time("2026-11-28T14:00:05.000Z")});
}

TEST(ShowPair, SaysTheRoleAndWhatFollows) {
  EXPECT_THAT(line_of("standby"), StartsWith("pair: standby since "));
  EXPECT_THAT(line_of("standby"), HasSubstr("203.0.113.10 is not on this machine; servers are probed, and no connection is touched"));
  EXPECT_THAT(line_of("settling"), HasSubstr("and it settles: until the other gateway's connections are here"));
  EXPECT_THAT(line_of("active"), HasSubstr(": it has 203.0.113.10"));
}

} // namespace
} // namespace hanat::cli
