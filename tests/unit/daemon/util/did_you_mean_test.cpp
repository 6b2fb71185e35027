// Suggestions for mistyped words.
#include "daemon/util/did_you_mean.hpp"

#include <array>
#include <string>

#include <gtest/gtest.h>

namespace hanat {
namespace {

constexpr std::array<std::string_view, 5> known = {"status", "force-backup", "force-primary", "web", "fast_interval"};

TEST(DidYouMean, FindsAWordWithAFewMistakes) {
  EXPECT_EQ(nearest("wbe", known), "web");
  EXPECT_EQ(nearest("wev", known), "web");
  EXPECT_EQ(nearest("stats", known), "status");
  EXPECT_EQ(nearest("satuts", known), "status");
}

TEST(DidYouMean, IgnoresCaseAndDashes) {
  EXPECT_EQ(nearest("STATUS", known), "status");
  EXPECT_EQ(nearest("fast-interval", known), "fast_interval");
}

TEST(DidYouMean, CompletesAWordThatWasBegun) {
  EXPECT_EQ(nearest("force-p", known), "force-primary");
  EXPECT_EQ(nearest("force", known), "force-backup");
  EXPECT_EQ(nearest("fo", known), ""); // too short to mean anything
}

TEST(DidYouMean, FindsNothingForAnotherWord) {
  EXPECT_EQ(nearest("bwe", known), "");
  EXPECT_EQ(nearest("zzz", known), "");
  EXPECT_EQ(nearest("", known), "");
  EXPECT_EQ(nearest(std::string(65, 'a'), known), "");
}

TEST(DidYouMean, ListsAllWordsWhereNoneIsNear) {
  constexpr std::array<std::string_view, 3> few = {"tcp", "udp", "sctp"};
  EXPECT_EQ(did_you_mean("tpc", few), ": did you mean \"tcp\"?");
  EXPECT_EQ(did_you_mean("icmp-echo", few), ": write \"tcp\", \"udp\" or \"sctp\"");
  EXPECT_EQ(alternatives(std::span{few}.first(1)), "\"tcp\"");
}

} // namespace
} // namespace hanat
