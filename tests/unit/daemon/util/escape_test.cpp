// Text from outside for a terminal, with nothing lost.
#include "daemon/util/escape.hpp"

#include <gtest/gtest.h>

namespace hanat {
namespace {

TEST(Escape, KeepsPrintableAsciiAndEscapesEveryOtherByte) {
  EXPECT_EQ(escaped("web-1 (a) ~"), "web-1 (a) ~");
  EXPECT_EQ(escaped(std::string_view{"\x1b]0;x\x07\n\0\xc3\xbc", 10}), "\\x1b]0;x\\x07\\x0a\\x00\\xc3\\xbc");
}

TEST(Shortened, LeavesOutTheEndAndSaysSo) {
  EXPECT_EQ(shortened(std::string(50, 'a'), 50), std::string(50, 'a'));
  EXPECT_EQ(shortened(std::string(4'321, 'a'), 50), std::string(33, 'a') + " ... (4321 bytes)");
}

} // namespace
} // namespace hanat
