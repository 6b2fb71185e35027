// Text in columns: what a terminal gets is safe and exactly as wide as it is taken to be.
#include "cli/top/cells.hpp"

#include <array>
#include <clocale>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hanat::cli::top {
namespace {

using testing::ElementsAre;

/// wcwidth() knows the characters of a UTF-8 locale only.
class Cells : public testing::Test {
protected:
  Cells() { EXPECT_NE(std::setlocale(LC_CTYPE, "C.UTF-8"), nullptr); }
  ~Cells() override { std::setlocale(LC_CTYPE, "C"); }
};

TEST_F(Cells, ControlCharactersAndBytesThatAreNoUtf8BecomeText) {
  EXPECT_EQ(safe("web\x1b[2J\r\n\x07", true), "web\\x1b[2J\\x0d\\x0a\\x07");
  EXPECT_EQ(safe(std::string_view{"a\0b", 3}, true), "a\\x00b");
  EXPECT_EQ(safe("\x7f\xc2\x9b"
                 "31m",
                 true),
            "\\x7f\\xc2\\x9b31m")
      << "the control sequence introducer of eight bits";
  EXPECT_EQ(safe("\xff\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80", true), "\\xff\\xc0\\xaf\\xed\\xa0\\x80\\xf4\\x90\\x80\\x80");
  EXPECT_EQ(safe("\xe2\x82", true), "\\xe2\\x82") << "half a character";
}

TEST_F(Cells, Utf8StaysWhereTheTerminalShowsIt) {
  EXPECT_EQ(safe("größer 東京 ✔", true), "größer 東京 ✔");
  EXPECT_EQ(safe("größer", false), "gr\\xc3\\xb6\\xc3\\x9fer");
}

TEST_F(Cells, WhatTurnsOrHidesTextBecomesText) {
  EXPECT_EQ(safe("a\u202eb", true), "a\\xe2\\x80\\xaeb");
  EXPECT_EQ(safe("a\u200b\ufeff", true), "a\\xe2\\x80\\x8b\\xef\\xbb\\xbf");
  EXPECT_EQ(safe("e\u0301", true), "e\u0301");
  EXPECT_EQ(safe("\u0301", true), "\\xcc\\x81") << "a mark without a character";
  EXPECT_EQ(safe("e\u0301\u0301\u0301", true), "e\u0301\u0301\\xcc\\x81");
}

TEST_F(Cells, AreCounted) {
  EXPECT_EQ(columns_of("web"), 3U);
  EXPECT_EQ(columns_of("größer"), 6U);
  EXPECT_EQ(columns_of("東京"), 4U);
  EXPECT_EQ(columns_of("e\u0301"), 1U);
}

TEST_F(Cells, TextIsCutAtAWholeCharacter) {
  EXPECT_EQ(cut_to("service", 7), "service");
  EXPECT_EQ(cut_to("service", 4), "ser~");
  EXPECT_EQ(cut_to("東京都", 5), "東京~");
  EXPECT_EQ(cut_to("東京都", 4), "東~") << "a wide character does not stand in half";
  EXPECT_EQ(cut_to("größer", 3), "gr~");
  EXPECT_EQ(cut_to("web", 0), "");
  EXPECT_EQ(padded("東京都", 4), "東~ ");
  EXPECT_EQ(padded("web", 5), "web  ");
}

TEST_F(Cells, LinesAreFoldedAtBlanks) {
  EXPECT_THAT(folded("primary is down, and backup has the traffic", 20, 2),
              ElementsAre("primary is down, and", "  backup has the", "  traffic"));
  EXPECT_THAT(folded("abcdefghij", 4, 0), ElementsAre("abcd", "efgh", "ij"));
  EXPECT_THAT(folded("東京東京", 5, 0), ElementsAre("東京", "東京"));
  EXPECT_THAT(folded("", 5, 0), ElementsAre(""));
  EXPECT_THAT(folded("東", 1, 0), ElementsAre("~")) << "it has no room, and this ends";
  EXPECT_THAT(folded("a b", 1, 8), ElementsAre("a", "b"));
}

TEST_F(Cells, EveryTextOfTwoBytesFitsWhateverItIs) {
  for (unsigned number = 0; number < 0x10000; ++number) {
    const std::array<char, 2> bytes{static_cast<char>(number >> 8), static_cast<char>(number)};
    const std::string text = safe({bytes.data(), bytes.size()}, true);
    ASSERT_LE(columns_of(cut_to(text, 3)), 3U) << number;
    ASSERT_EQ(columns_of(padded(text, 5)), 5U) << number;
    for (const char c : text) ASSERT_FALSE((c >= 0 && c < ' ') || c == 0x7f) << number;
  }
}

TEST_F(Cells, TheLastCharacterGoesWhole) {
  EXPECT_EQ(without_last("größ"), "grö");
  EXPECT_EQ(without_last("grö"), "gr");
  EXPECT_EQ(without_last(""), "");
}

} // namespace
} // namespace hanat::cli::top
